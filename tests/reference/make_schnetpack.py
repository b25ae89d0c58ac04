"""Make the SchNetPack files that the tests read, and what SchNetPack itself predicts with them.

The models are small and have random weights, drawn here. Nothing of this runs in the tests: they read the files.

An environment (SchNetPack's own requirements ask for an old torch, which these do not):

    python3.11 -m venv spk && . spk/bin/activate
    pip install torch --index-url https://download.pytorch.org/whl/cpu
    pip install ase h5py hydra-core hydra-colorlog tensorboard tensorboardX lightning pytorch-lightning torchmetrics \
        matscipy progressbar2 dirsync fasteners sympy
    pip install --no-deps torch-ema schnetpack==2.1.1

To make everything again, from the root of the repository:

    python tests/reference/make_schnetpack.py make
    pip download --no-deps schnetpack==2.0.0 -d old && unzip -d old old/schnetpack-2.0.0-*.whl
    PYTHONPATH=old python tests/reference/make_schnetpack.py make-old      # likewise with 2.0.4

    python tests/reference/make_schnetpack.py make-undecided   # of several outputs, none of which comes first

A third word, as in ``make so3net``, makes only those whose names hold it.

To check state dicts that `atomlens.save_schnetpack_state_dict` wrote as FOLDER/NAME.pt, where NAME.model is one
of the files made here, in SchNetPack itself:

    python tests/reference/make_schnetpack.py check FOLDER
"""

# ruff: noqa: E402
import json
import sys
import typing
import zlib
from importlib.metadata import version
from pathlib import Path

import pytorch_lightning.accelerators as accelerators
import torch
import torch.nn.functional as F
import torch.utils.data.dataloader as dataloader

dataloader.T_co = typing.TypeVar("T_co", covariant=True)  # SchNetPack imports it from there; torch 2.13 moved it
accelerators.GPUAccelerator = getattr(accelerators, "GPUAccelerator", None)  # likewise, for SchNetPack 2.0.0
# Files of the older format carry the source of every class; other people's has no place in this repository.
torch.serialization.get_source_lines_and_file = lambda *_: ([""], 0, "")

import numpy as np
import schnetpack as spk
import schnetpack.atomistic as out
import schnetpack.nn as snn
import schnetpack.representation as rep
import schnetpack.transform as trn
from schnetpack_structures import CUTOFF, batch, structures
from torch import nn

HERE = Path(__file__).parent / "schnetpack"
REFERENCES = HERE / "references.json"


def embedding(features):
    return nn.Embedding(10, features)


def schnet(features=8, layers=2, basis=None, cutoff_fn=None, **options):
    basis = basis or snn.GaussianRBF(n_rbf=6, cutoff=CUTOFF)
    options.setdefault("nuclear_embedding", embedding(features))
    return rep.SchNet(features, layers, basis, cutoff_fn or snn.CosineCutoff(CUTOFF), **options)


def painn(features=8, layers=2, basis=None, cutoff_fn=None, **options):
    basis = basis or snn.GaussianRBF(n_rbf=6, cutoff=CUTOFF)
    options.setdefault("nuclear_embedding", embedding(features))
    return rep.PaiNN(features, layers, basis, cutoff_fn or snn.CosineCutoff(CUTOFF), **options)


def so3net(features=8, layers=2, lmax=2, basis=None, cutoff_fn=None, **options):
    basis = basis or snn.GaussianRBF(n_rbf=6, cutoff=CUTOFF)
    options.setdefault("nuclear_embedding", embedding(features))
    return rep.SO3net(features, layers, lmax, basis, cutoff_fn or snn.CosineCutoff(CUTOFF), **options)


def potential(representation, *outputs, post=(), inputs=None, forces=True, **options):
    """A whole model; an energy with forces unless told otherwise."""
    outputs = list(outputs) or [out.Atomwise(8, output_key="energy")]
    if forces:
        outputs.append(out.Forces())
    return spk.model.NeuralNetworkPotential(
        representation,
        input_modules=inputs or [out.PairwiseDistances()],
        output_modules=outputs,
        postprocessors=list(post),
        **options,
    )


def offsets(key="energy", mean=-7.25, atomrefs=False, extensive=True, dtype=torch.float64):
    """AddOffsets as training leaves it: statistics of the data, in double precision."""
    module = trn.AddOffsets(key, add_mean=mean is not None, add_atomrefs=atomrefs, is_extensive=extensive, zmax=10)
    if mean is not None:
        module.mean = torch.tensor(mean, dtype=dtype)
    if atomrefs:
        values = [0.0, -13.6, 0, 0, 0, 0, -1029.5, -1485.25, -2041.125, 0]
        module.atomref = torch.tensor(values, dtype=dtype)
    return module


def scale(key="energy", factor=2.5, output=None):
    return trn.ScaleProperty(key, output_key=output, scale=torch.tensor(factor))


def nuclear(features=8):
    return snn.NuclearEmbedding(101, features, zero_init=False)


def from_configuration():
    """As hydra makes it: lists of the configuration stay omegaconf's."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    config = {"_target_": "schnetpack.atomistic.Polarizability", "n_in": 8, "n_hidden": [5], "n_layers": 2}
    return instantiate(OmegaConf.create(config))


def hidden_by_list():
    return out.Atomwise(8, n_hidden=[12, 5], n_layers=3, activation=torch.tanh, output_key="energy")


def bessel():
    return snn.BesselRBF(n_rbf=5, cutoff=CUTOFF)


def centered(**options):
    return snn.GaussianRBFCentered(n_rbf=5, cutoff=CUTOFF, **options)


# Name of the file, how its model is made. The first word is the property that is compared.
CASES = {
    "energy_schnet": lambda: potential(schnet(), post=[trn.CastTo64(), offsets()]),
    "energy_schnet_filters": lambda: potential(schnet(n_filters=12, layers=1)),
    "energy_schnet_shared": lambda: potential(schnet(shared_interactions=True, layers=3)),
    "energy_schnet_bessel_mollifier": lambda: potential(schnet(basis=bessel(), cutoff_fn=snn.MollifierCutoff(CUTOFF))),
    "energy_schnet_centered": lambda: potential(schnet(basis=centered(start=0.6), layers=1)),
    "energy_schnet_trainable": lambda: potential(
        schnet(basis=snn.GaussianRBF(n_rbf=6, cutoff=CUTOFF, start=0.4, trainable=True), layers=1)
    ),
    "energy_schnet_nuclear": lambda: potential(schnet(nuclear_embedding=nuclear(), layers=1)),
    "energy_schnet_module": lambda: potential(schnet(activation=snn.ShiftedSoftplus(), layers=1)),
    "energy_schnet_learned_module": lambda: potential(schnet(activation=snn.ShiftedSoftplus(trainable=True), layers=1)),
    "energy_schnet_silu_module": lambda: potential(schnet(activation=nn.SiLU(), layers=1)),
    "energy_schnet_tanh": lambda: potential(schnet(activation=torch.tanh, layers=1)),
    "energy_schnet_relu": lambda: potential(schnet(activation=F.relu, layers=1)),
    "energy_schnet_elu_module": lambda: potential(schnet(activation=nn.ELU(), layers=1)),
    "energy_schnet_gelu": lambda: potential(schnet(activation=F.gelu, layers=1)),
    "energy_schnet_softplus": lambda: potential(schnet(activation=F.softplus, layers=1)),
    "energy_schnet_sigmoid": lambda: potential(schnet(activation=torch.sigmoid, layers=1)),
    "energy_schnet_linear": lambda: potential(schnet(activation=None, layers=1)),
    "energy_schnet_full_table": lambda: potential(schnet(nuclear_embedding=None, layers=1)),
    "energy_painn": lambda: potential(painn(layers=3), post=[trn.CastTo64(), offsets()]),
    "energy_painn_one_layer": lambda: potential(painn(layers=1)),
    "energy_painn_shared": lambda: potential(painn(shared_interactions=True, layers=3)),
    "energy_painn_shared_filters": lambda: potential(painn(shared_filters=True)),
    "energy_painn_all_shared": lambda: potential(painn(shared_filters=True, shared_interactions=True)),
    "energy_painn_bessel_mollifier": lambda: potential(
        painn(basis=bessel(), cutoff_fn=snn.MollifierCutoff(CUTOFF), epsilon=1e-3, layers=1)
    ),
    "energy_painn_trainable": lambda: potential(painn(basis=centered(start=0.7, trainable=True), layers=1)),
    "energy_painn_nuclear": lambda: potential(painn(nuclear_embedding=nuclear(), layers=1)),
    "energy_painn_softplus": lambda: potential(painn(activation=snn.shifted_softplus, layers=1)),
    "energy_painn_tanh_module": lambda: potential(painn(activation=nn.Tanh(), layers=1)),
    "energy_so3net": lambda: potential(so3net(layers=3), post=[trn.CastTo64(), offsets(atomrefs=True)]),
    "energy_so3net_scalars": lambda: potential(so3net(lmax=0)),
    "energy_so3net_l1": lambda: potential(so3net(lmax=1, return_vector_representation=True)),
    "energy_so3net_l3": lambda: potential(so3net(lmax=3, features=6), out.Atomwise(6, output_key="energy")),
    "energy_so3net_shared": lambda: potential(so3net(shared_interactions=True, layers=3)),
    "energy_so3net_bessel_mollifier": lambda: potential(
        so3net(basis=bessel(), cutoff_fn=snn.MollifierCutoff(CUTOFF), layers=1)
    ),
    "energy_so3net_nuclear": lambda: potential(so3net(nuclear_embedding=nuclear(), layers=1)),
    "energy_so3net_double": lambda: potential(so3net(), post=[offsets()]).double(),
    "energy_so3net_stress": lambda: potential(
        so3net(),
        out.Atomwise(8, output_key="energy"),
        out.Forces(calc_stress=True),
        inputs=[out.Strain(), out.PairwiseDistances()],
        forces=False,
    ),
    "energy_average": lambda: potential(
        schnet(layers=1), out.Atomwise(8, output_key="energy", aggregation_mode="avg", per_atom_output_key="atoms")
    ),
    "energy_hidden_list": lambda: potential(painn(layers=1), hidden_by_list()),
    "energy_hidden_none": lambda: potential(painn(layers=1), out.Atomwise(8, n_layers=1, output_key="energy")),
    "energy_atomrefs": lambda: potential(schnet(layers=1), post=[trn.CastTo64(), offsets(atomrefs=True)]),
    "energy_intensive": lambda: potential(
        schnet(layers=1), post=[trn.CastTo64(), offsets(atomrefs=True, extensive=False)]
    ),
    "energy_atomrefs_only": lambda: potential(schnet(layers=1), post=[offsets(mean=None, atomrefs=True)]),
    "energy_scale_then_offsets": lambda: potential(
        schnet(layers=1), post=[trn.CastTo64(), scale(), offsets(atomrefs=True), scale("forces")]
    ),
    "energy_offsets_then_scale": lambda: potential(
        schnet(layers=1), post=[offsets(atomrefs=True), scale(), scale("forces"), offsets(mean=1.5)]
    ),
    "energy_scaled_before_forces": lambda: potential(
        painn(layers=1), out.Atomwise(8, output_key="energy"), scale(factor=0.375), post=[offsets()]
    ),
    "energy_postprocessing_off": lambda: potential(schnet(layers=1), post=[offsets()], do_postprocessing=False),
    "energy_double": lambda: potential(painn(layers=1), post=[offsets()]).double(),
    "energy_stress": lambda: potential(
        schnet(layers=1),
        out.Atomwise(8, output_key="energy"),
        out.Forces(calc_stress=True),
        inputs=[out.Strain(), out.PairwiseDistances()],
        forces=False,
    ),
    "energy_short_range": lambda: potential(
        schnet(layers=1), inputs=[out.PairwiseDistances(), out.FilterShortRange(CUTOFF)]
    ),
    "energy_without_forces": lambda: potential(schnet(layers=1), forces=False),
    "energy_and_dipole": lambda: potential(
        painn(layers=1), out.Atomwise(8, output_key="energy"), out.DipoleMoment(8, dipole_key="dipole_moment")
    ),
    "dipole_schnet": lambda: potential(schnet(layers=1), out.DipoleMoment(8, dipole_key="dipole"), forces=False),
    "dipole_uncorrected_charges": lambda: potential(
        schnet(layers=1), out.DipoleMoment(8, dipole_key="dipole", correct_charges=False), forces=False
    ),
    "dipole_magnitude": lambda: potential(
        painn(layers=1), out.DipoleMoment(8, dipole_key="dipole", predict_magnitude=True), forces=False
    ),
    "dipole_vectors": lambda: potential(
        painn(), out.DipoleMoment(8, dipole_key="dipole", use_vector_representation=True), forces=False
    ),
    "dipole_vectors_hidden": lambda: potential(
        painn(layers=1),
        out.DipoleMoment(
            8, n_hidden=6, n_layers=3, activation=torch.tanh, dipole_key="dipole", use_vector_representation=True
        ),
        forces=False,
    ),
    "dipole_so3net": lambda: potential(so3net(), out.DipoleMoment(8, dipole_key="dipole"), forces=False),
    "dipole_so3net_vectors": lambda: potential(
        so3net(return_vector_representation=True),
        out.DipoleMoment(8, dipole_key="dipole", use_vector_representation=True),
        forces=False,
    ),
    "polarizability_so3net": lambda: potential(
        so3net(return_vector_representation=True, lmax=1),
        out.Polarizability(8, polarizability_key="polarizability"),
        forces=False,
    ),
    "polarizability": lambda: potential(
        painn(layers=1), out.Polarizability(8, polarizability_key="polarizability"), forces=False
    ),
    "polarizability_hydra": lambda: potential(painn(), from_configuration(), forces=False),
}

# How a file is saved, where not by torch.save(model, path).
SAVING = {
    "energy_schnet_filters": {"_use_new_zipfile_serialization": False},
    "energy_painn_shared_filters": {"pickle_protocol": 4},
}

# The same names exist in every 2.x; the first releases took max_z instead of an embedding.
OLD_CASES = {
    "energy_schnet": lambda: potential(
        schnet_of_20(rep.SchNet), post=[trn.CastTo64(), offsets(atomrefs=True)], do_postprocessing=True
    ),
    "energy_painn": lambda: potential(schnet_of_20(rep.PaiNN), post=[offsets()], do_postprocessing=True),
    "energy_so3net": lambda: potential(
        rep.SO3net(8, 2, 2, snn.GaussianRBF(n_rbf=6, cutoff=CUTOFF), snn.CosineCutoff(CUTOFF), max_z=10),
        post=[offsets()],
        do_postprocessing=True,
    ),
}


# Models of which a user must say what to read; they have no reference of their own.
UNDECIDED = {
    "two_energies": lambda: potential(
        painn(layers=1), *(out.Atomwise(8, output_key=key) for key in ("energy", "energy_high")), forces=False
    ),
}


def schnet_of_20(kind):
    return kind(8, 2, snn.GaussianRBF(n_rbf=6, cutoff=CUTOFF), snn.CosineCutoff(CUTOFF), max_z=10)


def shake(model):
    """Weights that training could have left: biases and radial grids away from where they start."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1)
            elif name.endswith(("widths", "offsets")):
                parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


def predict(model, key):
    """Prediction and forces in double precision."""
    torch.set_default_dtype(torch.float64)  # SchNetPack makes some zeros in the default type
    try:
        result = model.double().eval()(batch(structures()))
    finally:
        torch.set_default_dtype(torch.float32)
    reference = {"value": result[key].tolist()}
    if "forces" in result:
        reference["forces"] = result["forces"].tolist()
    return reference


def make(cases, suffix="", word=""):
    """Write every model whose name holds the word, and its reference; others that are there stay."""
    HERE.mkdir(exist_ok=True)
    data = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {"models": {}}
    data["structures"] = [
        {
            "numbers": a.numbers.tolist(),
            "positions": a.positions.tolist(),
            "cell": a.cell.tolist(),
            "pbc": a.pbc.tolist(),
        }
        for a in structures()
    ]
    for name, build in cases.items():
        if word not in name:
            continue
        torch.manual_seed(zlib.crc32(name.encode()))
        model = shake(build())
        file = f"{name}{suffix}"
        torch.save(model, HERE / f"{file}.model", **SAVING.get(file, {}))
        state = list(model.state_dict())
        key = name.partition("_")[0]
        data["models"][file] = {"property": key, "state_dict": state, **predict(model, key)}
    data["models"] = dict(sorted(data["models"].items()))
    REFERENCES.write_text(json.dumps(data))


def check(folder):
    """Load state dicts into newly drawn models, and compare what they predict."""
    references = json.loads(REFERENCES.read_text())["models"]
    for path in sorted(Path(folder).glob("*.pt")):
        torch.manual_seed(0)
        model = CASES[path.stem]()
        state = torch.load(path, weights_only=True)
        if not model.postprocessors:  # the state dict always has AddOffsets, of zero here
            state = {name: tensor for name, tensor in state.items() if not name.startswith("postprocessors.")}
        missing, unknown = model.load_state_dict(state, strict=False)
        assert not unknown, unknown
        # What the model keeps besides: the forces' own factor, activations' own parameters.
        kept = ("postprocessors.3.scale", "activation.alpha", "activation.beta")
        assert all(name.endswith(kept) for name in missing), missing
        reference = references[path.stem]
        again = predict(model, reference["property"])
        for field in ("value", "forces"):
            if field in reference:
                np.testing.assert_allclose(again[field], reference[field], rtol=1e-10, atol=1e-10)
        print("equal:", path.stem)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", *word]:
            make(CASES, "", *word)
        case ["make-old", *word]:
            make(OLD_CASES, f"_of_{version('schnetpack')}", *word)
        case ["make-undecided"]:
            for name, build in UNDECIDED.items():
                torch.manual_seed(zlib.crc32(name.encode()))
                torch.save(shake(build()), HERE / f"{name}.model")
        case ["check", folder]:
            check(folder)
        case _:
            sys.exit(__doc__)
