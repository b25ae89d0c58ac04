"""Models that cannot be expressed here are refused by the full name of what stands in the way."""

import re
from pathlib import Path

import pytest
import torch

from atomlens.potentials import load_model
from atomlens.potentials.schnetpack import convert, open_zip
from atomlens.potentials.schnetpack.modules import child, items
from atomlens.potentials.schnetpack.shells import Name, Shell, StorageRef, TensorRef
from atomlens.structures import InputError

RENAMED = {
    "schnetpack.representation.schnet.SchNet": "schnetpack.representation.field_schnet.FieldSchNet",
    "schnetpack.atomistic.atomwise.Atomwise": "schnetpack.atomistic.nuclear_repulsion.ZBLRepulsionEnergy",
    "schnetpack.atomistic.response.Forces": "schnetpack.atomistic.aggregation.Aggregation",
    "schnetpack.atomistic.distances.PairwiseDistances": "schnetpack.atomistic.external_fields.StaticExternalFields",
    "schnetpack.transform.casting.CastTo64": "schnetpack.transform.atomistic.SubtractCenterOfMass",
    "schnetpack.nn.activations.shifted_softplus": "torch.nn.functional.leaky_relu",
    "torch.nn.modules.sparse.Embedding": "schnetpack.nn.embedding.ElectronicEmbedding",
    "torch.nn.modules.linear.Identity": "torch.nn.modules.dropout.Dropout",
    "schnetpack.model.base.NeuralNetworkPotential": "schnetpack.task.AtomisticTask",
}


@pytest.mark.parametrize("old", RENAMED)
def test_unsupported_parts_are_named(old, repack, pickle_of, tmp_path):
    new = RENAMED[old]
    lines = [name.rpartition(".")[0].encode() + b"\n" + name.rpartition(".")[2].encode() + b"\n" for name in (old, new)]
    pickle = pickle_of("energy_schnet")
    assert lines[0] in pickle
    (tmp_path / "best_model").write_bytes(repack("energy_schnet", pickle.replace(*lines)))
    with pytest.raises(InputError, match=f"{re.escape(new)}, which atomlens cannot read"):
        load_model(tmp_path / "best_model")


@pytest.fixture
def model(schnetpack_folder):
    """Function that opens a reference model, to be changed before it is converted."""

    def open_model(name):
        archive = open_zip((schnetpack_folder / f"{name}.model").read_bytes())
        return archive, archive.root

    return open_model


def refused(archive, message, **options):
    with pytest.raises(InputError, match=message):
        convert(archive, Path("nowhere/best_model"), energy_unit="eV", **options)


def put(module, name, value):
    module.state["_modules"][name] = value


def representation(root):
    return child(root, "representation")


def outputs(root):
    return child(root, "output_modules").state["_modules"]


def test_unchanged_models_are_read(model):
    archive, _ = model("energy_schnet")
    assert convert(archive, Path("nowhere/best_model"), energy_unit="eV").config.output.property == "energy"


CHANGES = {
    "an electronic embedding": (
        lambda root: put(
            child(representation(root), "electronic_embeddings"), "0", Shell("schnetpack.nn.embedding.Odd")
        ),
        r"schnetpack\.nn\.embedding\.Odd \(charge or spin\)",
    ),
    "another representation": (
        lambda root: put(root, "representation", child(root, "output_modules")),
        r"representation is a torch\.nn\.modules\.container\.ModuleList",
    ),
    "no representation": (lambda root: root.state["_modules"].pop("representation"), "no module 'representation'"),
    "no modules at all": (lambda root: root.state.clear(), "no output module"),
    "modules that are no table": (lambda root: root.state.update(_modules=[1]), "'_modules' .* is not a table"),
    "another basis": (
        lambda root: put(representation(root), "radial_basis", Shell("torch.nn.modules.linear.Linear")),
        r"radial basis is a torch\.nn\.modules\.linear\.Linear",
    ),
    "another cutoff": (
        lambda root: put(representation(root), "cutoff_fn", Shell("torch.nn.modules.linear.Linear")),
        r"cutoff function is a torch\.nn\.modules\.linear\.Linear",
    ),
    "a cutoff of many numbers": (
        lambda root: (
            child(representation(root), "cutoff_fn")
            .state["_buffers"]
            .update(cutoff=child(representation(root), "radial_basis").state["_buffers"]["offsets"])
        ),
        "must be one positive number",
    ),
    "an embedding with max_norm": (
        lambda root: child(representation(root), "embedding").state.update(max_norm=1.0),
        "max_norm",
    ),
    "no embedding weights": (
        lambda root: child(representation(root), "embedding").state["_parameters"].clear(),
        "no tensor 'weight'",
    ),
    "no interactions": (
        lambda root: child(representation(root), "interactions").state["_modules"].clear(),
        "no interactions",
    ),
    "partly shared layers": (
        lambda root: (
            child(representation(root), "interactions")
            .state["_modules"]
            .update({"2": items(representation(root), "interactions")[0]})
        ),
        "shares only some of its layers",
    ),
    "different activations": (
        lambda root: items(items(representation(root), "interactions")[0], "f2out")[0].state.update(
            activation=Name("torch.nn.functional.silu")
        ),
        "differ in their activation functions",
    ),
    "an unknown activation": (
        lambda root: items(items(representation(root), "interactions")[0], "f2out")[0].state.update(activation=3),
        "is a int 3, which cannot be read",
    ),
    "an activation behind a linear layer": (
        lambda root: (
            child(items(representation(root), "interactions")[0], "in2f")
            .state["_modules"]
            .update(activation=Shell("torch.nn.modules.activation.SiLU"))
        ),
        "ends in silu",
    ),
    "a third layer": (
        lambda root: (
            child(items(representation(root), "interactions")[0], "f2out")
            .state["_modules"]
            .update({"2": items(items(representation(root), "interactions")[0], "f2out")[1]})
        ),
        "has 3 layers, 2 were expected",
    ),
    "something else among the layers": (
        lambda root: (
            child(items(representation(root), "interactions")[0], "f2out")
            .state["_modules"]
            .update({"2": Shell("torch.nn.modules.activation.SiLU")})
        ),
        r"holds a torch\.nn\.modules\.activation\.SiLU",
    ),
    "an output that is kept an atom": (
        lambda root: outputs(root)["0"].state.update(aggregation_mode=None),
        "neither sums nor averages",
    ),
    "an output module of another kind": (
        lambda root: outputs(root).update({"0": Shell("schnetpack.nn.base.Dense")}),
        r"output module schnetpack\.nn\.base\.Dense cannot be read",
    ),
    "an activation at the end": (
        lambda root: (
            items(outputs(root)["0"], "outnet")[1]
            .state["_modules"]
            .update(activation=Shell("torch.nn.modules.activation.ReLU"))
        ),
        "ends in relu",
    ),
    "a postprocessor of another kind": (
        lambda root: child(root, "postprocessors").state["_modules"].update({"0": Shell("schnetpack.nn.base.Dense")}),
        r"postprocessor schnetpack\.nn\.base\.Dense cannot be read",
    ),
    "an input module of another kind": (
        lambda root: child(root, "input_modules").state["_modules"].update({"0": Shell("schnetpack.nn.base.Dense")}),
        r"input module schnetpack\.nn\.base\.Dense cannot be read",
    ),
    "neighbours dropped inside the cutoff": (
        lambda root: (
            child(root, "input_modules")
            .state["_modules"]
            .update({"0": Shell("schnetpack.atomistic.distances.FilterShortRange", {"short_range_cutoff": 2.0})})
        ),
        "drops neighbours beyond 2 Å",
    ),
    "offsets of two kinds": (
        lambda root: (
            child(root, "postprocessors")
            .state["_modules"]
            .update(
                {
                    "2": Shell(
                        "schnetpack.transform.atomistic.AddOffsets", {"_property": "energy", "is_extensive": False}
                    )
                }
            )
        ),
        "both as extensive and as intensive",
    ),
    "a mean that is no number": (
        lambda root: (
            child(root, "postprocessors").state["_modules"]["1"].state.update(_buffers={"mean": "much"}, mean="much")
        ),
        "one number was expected",
    ),
    "missing atom references": (
        lambda root: child(root, "postprocessors").state["_modules"]["1"].state.update(_buffers={}, add_atomrefs=True),
        "has none",
    ),
    "a tensor without a place": (
        lambda root: (
            representation(root)
            .state["_parameters"]
            .update(extra=child(representation(root), "embedding").state["_parameters"]["weight"])
        ),
        r"a tensor representation\.extra",
    ),
    "a layer that is not a matrix": (
        lambda root: items(outputs(root)["0"], "outnet")[0].state["_parameters"].update(weight=None),
        "no matrix of weights",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_models_beyond_ours_are_refused(change, model):
    archive, root = model("energy_schnet")
    alter, message = CHANGES[change]
    alter(root)
    refused(archive, message)


def test_outputs_beyond_ours_are_refused(model):
    archive, root = model("dipole_vectors_hidden")
    blocks = items(outputs(root)["0"], "outnet")
    blocks[0].state["sactivation"] = Name("torch.nn.functional.silu")
    refused(archive, "differ in their activation functions")
    archive, root = model("dipole_vectors_hidden")
    items(outputs(root)["0"], "outnet")[-1].state["sactivation"] = Name("torch.nn.functional.silu")
    refused(archive, "ends in silu")
    archive, root = model("dipole_vectors")
    archive, root = model("dipole_vectors")
    block = items(outputs(root)["0"], "outnet")[0]
    child(block, "scalar_net").state["_modules"]["0"].state["_parameters"]["weight"] = window((5, 12))
    refused(archive, "a gate of its .* is 5 wide")


def test_vectors_need_a_representation_that_has_them(model):
    archive, root = model("energy_schnet")
    outputs(root)["0"] = vectors = Shell("schnetpack.atomistic.atomwise.Polarizability", {"_modules": {}})
    network = items(items(representation(root), "interactions")[0], "f2out")
    parts = {"scalar_net": Shell("torch.nn.modules.container.Sequential", {"_modules": dict(enumerate_named(network))})}
    block = Shell("schnetpack.nn.equivariant.GatedEquivariantBlock", {"_modules": parts})
    parts["mix_vectors"] = Shell("schnetpack.nn.base.Dense", {"_parameters": {"weight": window((2, 8))}})
    put(vectors, "outnet", Shell("torch.nn.modules.container.Sequential", {"_modules": {"0": block}}))
    network[0].state["activation"] = Name("schnetpack.nn.activations.shifted_softplus")
    refused(archive, "vector features, which SchNet does not have")


def enumerate_named(modules):
    return ((str(k), module) for k, module in enumerate(modules))


def window(shape):
    return TensorRef(StorageRef(torch.float32, "0", 100), 0, shape, (shape[1], 1))


def test_layers_of_painn_go_in_pairs(model):
    archive, root = model("energy_painn")
    child(representation(root), "mixing").state["_modules"].pop("2")
    refused(archive, "3 interactions and 2 mixings")
    archive, root = model("energy_painn")
    items(representation(root), "mixing")[1].state["epsilon"] = 1e-3
    refused(archive, "differ in their epsilon")


SO3NET_CHANGES = {
    "a layer too many": (
        lambda net: child(net, "mixings2").state["_modules"].update({"3": items(net, "mixings2")[0]}),
        "3 so3convs and 4 mixings2",
    ),
    "partly shared layers": (
        lambda net: child(net, "mixings3").state["_modules"].update(dict.fromkeys("012", items(net, "mixings3")[0])),
        "shares only some of its layers",
    ),
    "degrees without bounds": (lambda net: net.state.update(lmax=10**6), "lmax=1000000; 0 to 8 can be read"),
    "degrees that are none": (lambda net: net.state.update(lmax="two"), "'lmax' of its .* is a str 'two'"),
    "another degree": (lambda net: net.state.update(lmax=3), "do not go to lmax=3"),
    "something else among the layers": (
        lambda net: child(net, "mixings1").state["_modules"].update({"1": Shell("torch.nn.modules.activation.SiLU")}),
        r"holds a torch\.nn\.modules\.activation\.SiLU",
    ),
    "an activation in the filter": (
        lambda net: (
            child(items(net, "so3convs")[0], "filternet")
            .state["_modules"]
            .update(activation=Shell("torch.nn.modules.activation.SiLU"))
        ),
        "ends in silu, where SO3net is linear",
    ),
    "no couplings": (
        lambda net: child(net, "so3product").state["_buffers"].pop("clebsch_gordan"),
        "no tensor 'clebsch_gordan'",
    ),
    "couplings in other places": (
        lambda net: (
            child(net, "so3product")
            .state["_buffers"]
            .update(idx_out=child(net, "so3product").state["_buffers"]["idx_in_1"])
        ),
        "constants of its .* are not those of SO3net",
    ),
    "couplings nowhere": (
        lambda net: (
            child(net, "so3product")
            .state["_buffers"]
            .update(idx_out=child(net, "so3product").state["_buffers"]["clebsch_gordan"])
        ),
        "have impossible places",
    ),
}


@pytest.mark.parametrize("change", SO3NET_CHANGES)
def test_so3nets_beyond_ours_are_refused(change, model):
    archive, root = model("energy_so3net")
    alter, message = SO3NET_CHANGES[change]
    alter(representation(root))
    refused(archive, message)


def test_vectors_that_so3net_keeps_to_itself(model):
    archive, root = model("dipole_so3net_vectors")
    representation(root).state["return_vector_representation"] = False
    refused(archive, "vector features, which its SO3net does not hand on")


def test_learned_softplus_away_from_the_plain_one(model):
    archive, root = model("energy_schnet_module")
    layer = items(items(representation(root), "interactions")[0], "f2out")[0]
    child(layer, "activation").state["_buffers"]["beta"] = 2.0
    refused(archive, r"schnetpack\.nn\.activations\.ShiftedSoftplus with alpha=1, beta=2")
    archive, root = model("energy_schnet_elu_module")
    layer = items(items(representation(root), "interactions")[0], "f2out")[0]
    child(layer, "activation").state["alpha"] = 0.5
    refused(archive, r"torch\.nn\.modules\.activation\.ELU with alpha=float 0\.5")


def test_which_output(model):
    archive, root = model("energy_and_dipole")
    refused(archive, "predicts energy, dipole_moment; output='charge' is not among them", output="charge")
    outputs(root).pop("2")  # the forces
    refused(archive, "predicts energy, dipole_moment; choose one with --output NAME")
    outputs(root).clear()
    refused(archive, "it predicts nothing")


def test_older_files_may_lack_attributes(model):
    archive, root = model("energy_schnet")
    offsets = child(root, "postprocessors").state["_modules"]["1"]
    for name in ("add_mean", "add_atomrefs", "is_extensive"):
        offsets.state.pop(name)
    offsets.state["_buffers"] = {}
    offsets.state["mean"] = -3.5
    representation(root).state["_modules"].pop("electronic_embeddings")
    for name in ("spk_version", "do_postprocessing"):
        root.state.pop(name)
    read = convert(archive, Path("nowhere/best_model"), energy_unit="eV")
    assert float(read.mean) == -3.5
    assert read.config.output.extensive


def test_forces_that_are_not_the_gradient_are_noted(model):
    archive, root = model("energy_scale_then_offsets")
    child(root, "postprocessors").state["_modules"].pop("3")
    assert (
        "carry the factor 1 instead of 2.5"
        in convert(archive, Path("nowhere/best_model"), energy_unit="eV").config.card["forces"]
    )
