"""Packages of NequIP: random networks made on the spot, and one that its own programs trained and packed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

if find_spec("nequip") is None:
    pytest.skip("needs nequip: bash environments/test nequip", allow_module_level=True)

from foreign_samples import STRUCTURES, assert_same, compare_with_chain, ethanol, recorded

from atomlens.interactions import explain_module
from atomlens.potentials.foreign import float64_default, quietly
from atomlens.potentials.nequip import NequipModel, load_nequip, recognises_nequip
from atomlens.recording import RecordedModel
from atomlens.structures import InputError

with quietly():
    from nequip.integrations.ase import NequIPCalculator
    from nequip.integrations.utils import basic_transforms
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    set_global_state()  # nequip builds no model before

TYPES = ["H", "C", "O"]
ALONE = {"H": -13.6, "C": -1025.3, "O": -2035.6}


def build(**more: Any) -> torch.nn.Module:
    options = {
        "seed": 1,
        "model_dtype": "float64",
        "type_names": TYPES,
        "r_max": 5.0,
        "num_layers": 2,
        "l_max": 1,
        "parity": False,
        "num_features": 4,
        "radial_mlp_depth": 1,
        "radial_mlp_width": 8,
        "avg_num_neighbors": 8.0,
        "per_type_energy_scales": {"H": 0.5, "C": 0.7, "O": 0.9},
        "per_type_energy_shifts": ALONE,
    }
    with quietly(), float64_default():
        return NequIPGNNModel(**(options | more)).eval()


def calculator(module: Any) -> NequIPCalculator:
    with quietly(), float64_default():
        symbols = {name: name for name in TYPES}
        return NequIPCalculator(module, "cpu", transforms=basic_transforms(module.metadata, 5.0, TYPES, symbols))


KINDS: dict[str, dict[str, Any]] = {
    "two layers": {},
    "three layers, parity": {"num_layers": 3, "parity": True},
    "float32": {"model_dtype": "float32"},
    "one scale, ZBL": {
        "per_type_energy_scales": 0.7,
        "pair_potential": {
            "_target_": "nequip.nn.pair_potential.ZBL",
            "units": "metal",
            "chemical_species": TYPES,
        },
    },
    "no scale": {"per_type_energy_scales": None},
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(kind: str) -> NequipModel:
    return NequipModel(build(**KINDS[kind]))


def test_energies_and_forces_are_those_of_its_own_calculator(kind, model):
    assert isinstance(model, RecordedModel)
    theirs = calculator(build(**KINDS[kind]).double() if kind != "float32" else model.module)
    for make in STRUCTURES.values():
        assert_same(model, theirs, make())


def test_recordings_pass_the_checks(model):
    assert max(recorded(model, ethanol())) <= 1e-12


def test_two_layers_have_no_term_of_four_atoms():
    explanation = explain_module(NequipModel(build()), ethanol())
    compare_with_chain(explanation, 3)
    found = explanation.interactions(3)
    assert abs(found.remainder) <= 1e-10
    assert explanation.constant == pytest.approx(6 * ALONE["H"] + 2 * ALONE["C"] + ALONE["O"])
    assert np.abs(found.order(1).relevance).max() < 1e-10, "lone atoms have their shift alone"
    assert np.abs(found.order(3).relevance).max() > 1e-6


def test_other_networks_of_the_framework_are_refused():
    class Allegro(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch.nn.Module()
            self.model.func = torch.nn.Sequential(torch.nn.Linear(1, 1))

    with pytest.raises(InputError, match=r"it is no NequIP \(its parts: Linear\)"):
        NequipModel(Allegro())


def test_types_that_are_no_elements_are_refused():
    with pytest.raises(InputError, match="its types carbon are no chemical symbols"):
        NequipModel(build(type_names=["H", "carbon"], per_type_energy_shifts=None, per_type_energy_scales=None))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch on five frames by ``nequip-train``, packed by ``nequip-package``."""
    folder = tmp_path_factory.mktemp("nequip")
    shutil.copy(Path(__file__).with_name("nequip.yaml"), folder)
    frames, shift = [ethanol() for _ in range(6)], np.random.default_rng(0)
    for atoms in frames:
        atoms.positions += 0.05 * shift.standard_normal((len(atoms), 3))
        results = {"energy": -4168.0 + shift.standard_normal(), "forces": shift.standard_normal((len(atoms), 3))}
        atoms.calc = SinglePointCalculator(atoms, **results)
    ase.io.write(folder / "frames.xyz", frames)
    programs = Path(sys.executable).parent
    for command in (
        ["nequip-train", "--config-path", str(folder), "--config-name", "nequip", "hydra.run.dir=."],
        ["nequip-package", "build", "last.ckpt", "tiny.nequip.zip"],
    ):
        done = subprocess.run([programs / command[0], *command[1:]], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    return folder / "tiny.nequip.zip"


def test_packages_open(package):
    with quietly():
        theirs = NequIPCalculator._from_saved_model(package, chemical_species_to_atom_type_map=True)
    model = load_nequip(package, trust=True)
    assert (model.layers, model.elements, model.cutoff) == (2, (1, 6, 8), 4.0)
    for make in STRUCTURES.values():
        assert_same(model, theirs, make())
    assert max(recorded(model, ethanol())) <= 1e-12


def test_untrusted_packages_stay_closed_but_are_recognised(package, tmp_path):
    assert recognises_nequip(package)
    with pytest.raises(InputError, match="--trust"):
        load_nequip(package)
    (tmp_path / "other.nequip.zip").write_bytes(b"PK no package")
    assert not recognises_nequip(tmp_path / "other.nequip.zip")
    with pytest.raises(InputError, match="not a NequIP package"):
        load_nequip(tmp_path / "other.nequip.zip", trust=True)
