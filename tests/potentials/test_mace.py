"""Files of mace-torch: random models of every kind that is explained, made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

if find_spec("mace") is None:
    pytest.skip("needs mace-torch: bash environments/test mace", allow_module_level=True)

from foreign_samples import STRUCTURES, assert_same, compare_with_chain, ethanol, recorded

from atomlens.interactions import explain_module
from atomlens.potentials.foreign import float64_default, open_pickle, quietly, require_library
from atomlens.potentials.mace import MaceModel, load_mace, recognises_mace
from atomlens.recording import RecordedModel
from atomlens.structures import InputError

require_library("mace.calculators", "")  # before e3nn, which it makes importable
with quietly():
    from e3nn import o3
    from mace import modules
    from mace.calculators import MACECalculator

RESIDUAL, PLAIN = "RealAgnosticResidualInteractionBlock", "RealAgnosticInteractionBlock"
DENSITY = ("RealAgnosticDensityResidualInteractionBlock", "RealAgnosticDensityInteractionBlock")
NON_LINEAR = "RealAgnosticResidualNonLinearInteractionBlock"
ALONE = [-13.6, -1025.3, -2035.6]


def build(
    layers: int = 2, later: str = RESIDUAL, first: str = PLAIN, scaled: bool = True, alone: Any = None, **more: Any
) -> torch.nn.Module:
    torch.manual_seed(layers)
    if scaled:
        more = {"atomic_inter_scale": 0.7, "atomic_inter_shift": 0.1} | more
    with quietly(), float64_default():
        return (modules.ScaleShiftMACE if scaled else modules.MACE)(
            r_max=5.0,
            num_bessel=6,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=modules.interaction_classes[later],
            interaction_cls_first=modules.interaction_classes[first],
            num_interactions=layers,
            num_elements=3,
            hidden_irreps=o3.Irreps("4x0e+4x1o"),
            MLP_irreps=o3.Irreps("4x0e"),
            atomic_energies=np.array(ALONE if alone is None else alone),
            avg_num_neighbors=8.0,
            atomic_numbers=[1, 6, 8],
            correlation=2,
            gate=torch.nn.functional.silu,
            **more,
        )


KINDS: dict[str, Callable[[], torch.nn.Module]] = {
    "one layer": lambda: build(1),
    "two layers": lambda: build(2),
    "three layers": lambda: build(3),
    "not scaled": lambda: build(2, scaled=False),
    "residual first": lambda: build(2, first=RESIDUAL),
    "density and ZBL": lambda: build(2, *DENSITY, pair_repulsion=True, distance_transform="Agnesi"),
    "non-linear": lambda: build(2, NON_LINEAR, NON_LINEAR, edge_irreps=o3.Irreps("4x0e+4x1o")),
}


@pytest.fixture(scope="module", params=KINDS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mace") / f"{request.param.replace(' ', '-')}.model"
    with quietly():
        torch.save(KINDS[request.param](), path)
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> MaceModel:
    return load_mace(file, trust=True)


def test_energies_and_forces_are_those_of_its_own_calculator(file, model):
    assert isinstance(model, RecordedModel)
    with quietly():
        calculator = MACECalculator(model_paths=str(file), device="cpu", default_dtype="float64")
    for make in STRUCTURES.values():
        assert_same(model, calculator, make())


def test_recordings_pass_the_checks(model):
    assert max(recorded(model, ethanol())) <= 1e-12


@pytest.mark.parametrize(("rule", "product_rule"), [("gate", "scalar"), ("gradient", "full"), ("gamma", "full")])
def test_other_rules_pass_the_checks(rule, product_rule, two_layers):
    assert max(recorded(two_layers, ethanol(), rule, product_rule)) <= 1e-12


def test_walks_or_the_reason_why_not(file, model):
    """Messages are sums over neighbours, so a walk of T layers visits T + 1 atoms at most: no term has more."""
    explanation = explain_module(model, ethanol())
    if "non-linear" in file.name:
        assert "receives" in (explanation.no_walks or "")
        with pytest.raises(InputError, match="receives"):
            explanation.walks()
        return
    assert explanation.no_walks is None
    compare_with_chain(explanation, 3)
    size = abs(explanation.prediction - explanation.constant)
    assert abs(explanation.residual) <= 1e-10 * max(size, 1.0)
    if model.layers < 3:
        found = explanation.interactions(model.layers + 1)
        assert abs(found.remainder) <= 1e-10 * max(size, 1.0)
        assert np.abs(found.order(model.layers + 1).relevance).max() > 1e-6


@pytest.fixture(scope="module")
def two_layers() -> MaceModel:
    return MaceModel(build())


@pytest.fixture
def plain(tmp_path: Path) -> Callable[..., Path]:
    def save(module: Any, name: str = "m.model") -> Path:
        with quietly():
            torch.save(module, tmp_path / name)
        return tmp_path / name

    return save


def test_energies_of_lone_atoms_are_no_terms(two_layers):
    first = explain_module(two_layers, ethanol())
    second = explain_module(MaceModel(build(alone=[0.0, 1.0, 2.0])), ethanol())
    shift = 2 * 1.0 + 2.0 - (6 * ALONE[0] + 2 * ALONE[1] + ALONE[2])
    assert second.constant - first.constant == pytest.approx(shift)
    for order in (1, 2):
        a, b = (explanation.interactions(2).order(order).relevance for explanation in (first, second))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_files_of_older_versions_open(plain, two_layers):
    """What versions since 0.3.3 have added to their modules is not missed."""
    file = plain(two_layers.module)
    newer = (
        "heads",
        "apply_cutoff",
        "lammps_mliap",
        "edge_irreps",
        "use_reduced_cg",
        "use_agnostic_product",
        "use_so3",
    )
    newer += ("use_last_readout_only", "use_edge_irreps_first", "num_heads", "cueq_config", "oeq_config", "radial_MLP")
    taken = 0
    with quietly():
        old: Any = torch.load(file, weights_only=False)
    for part in (part for part in old.modules() if not isinstance(part, torch.jit.ScriptModule)):
        for name in [*newer, *[n for n in part._buffers if n.endswith("_zeroed")]]:
            taken += part.__dict__.pop(name, None) is not None or part._buffers.pop(name, None) is not None
    assert taken > 20
    opened = load_mace(plain(old, "old.model"), trust=True)
    inputs = opened.inputs(ethanol()).tensors
    assert torch.equal(two_layers.energy(inputs), opened.energy(inputs))


def test_float32_files_are_explained_in_float64(plain):
    model = load_mace(plain(build().float()), trust=True)
    assert model.energy(model.inputs(ethanol()).tensors).dtype == torch.float64
    assert max(recorded(model, ethanol())) <= 1e-12


def test_heads(plain):
    alone = [ALONE, [0.0, 0.0, 0.0]]
    file = plain(build(heads=["dft", "xtb"], alone=alone, atomic_inter_scale=[0.7, 0.7], atomic_inter_shift=[0.1, 0.1]))
    with pytest.raises(InputError, match=r"heads dft, xtb; which is wanted is not said"):
        load_mace(file, trust=True)
    with pytest.raises(InputError, match=r"'ccsd' is none of them"):
        load_mace(file, trust=True, head="ccsd")
    model = load_mace(file, trust=True, head="xtb")
    assert model.references == {1: 0.0, 6: 0.0, 8: 0.0}
    assert max(recorded(model, ethanol())) <= 1e-12


def test_other_files_are_refused(plain, tmp_path, two_layers):
    with pytest.raises(InputError, match="no such file"):
        load_mace(tmp_path / "none.model", trust=True)
    with pytest.raises(InputError, match=r"holds a dict, not a MACE model"):
        load_mace(plain({"state": 1}), trust=True)
    with pytest.raises(InputError, match=r"Linear is not explained; MACE and ScaleShiftMACE are"):
        load_mace(plain(torch.nn.Linear(1, 1)), trust=True)
    (tmp_path / "text.model").write_text("no model")
    with pytest.raises(InputError, match="cannot be opened"):
        load_mace(tmp_path / "text.model", trust=True)
    damaged = plain(two_layers.module)
    damaged.write_bytes(damaged.read_bytes()[:2000])
    with pytest.raises(InputError, match="cannot be opened"):
        load_mace(damaged, trust=True)


def test_unknown_elements_are_named(two_layers):
    atoms = ethanol()
    atoms.numbers[0] = 16
    with pytest.raises(InputError, match="the structure has S; the model knows H C O"):
        two_layers.inputs(atoms)


def test_untrusted_files_stay_closed_but_are_recognised(plain, two_layers):
    file = plain(two_layers.module)
    assert recognises_mace(file)
    with pytest.raises(InputError, match="--trust"):
        load_mace(file)


def test_nothing_of_the_process_is_changed(plain, two_layers):
    flag, real = os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"), torch.get_default_dtype()
    model = load_mace(plain(two_layers.module), trust=True)
    inputs = model.inputs(ethanol())
    before = {name: tensor.clone() for name, tensor in inputs.tensors.items()}
    model.energy(inputs.tensors)
    assert all(torch.equal(before[name], tensor) for name, tensor in inputs.tensors.items())
    assert not inputs.tensors["positions"].requires_grad
    assert os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD") == flag
    assert torch.get_default_dtype() == real
    assert open_pickle(plain(torch.zeros(1))).dtype == torch.float32
