"""ASE calculators by import path: trust, boxes, and what a model of them says."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from atomlens import InputError, load_model
from atomlens.potentials import CalculatorModel, import_calculator, is_import_path, load_calculator, scan
from atomlens.potentials.calculated import CalculatorOrigin
from atomlens.potentials.imported import is_installed
from samples import small_model

WATER = ase.build.molecule("H2O")


class NeedsCell(LennardJones):
    """Refuses open structures, as calculators of crystals do."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        if not atoms.pbc.all():
            raise ValueError("a cell is needed")
        super().calculate(atoms, list(properties), list(system_changes))


def test_a_model_of_a_calculator_predicts_what_the_calculator_does() -> None:
    model = load_calculator("ase.calculators.emt:EMT")
    atoms = WATER.copy()
    atoms.calc = EMT()
    found = model.predict(WATER)
    assert found.energy == atoms.get_potential_energy()
    np.testing.assert_array_equal(found.forces, atoms.get_forces())
    assert not model.facts.has_terms
    again = pickle.loads(pickle.dumps(model))
    assert again.predict(WATER).energy == found.energy


def test_modules_of_installed_packages_are_trusted_and_others_are_not(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mine.py").write_text("open('ran', 'w').close()\nfrom ase.calculators.emt import EMT\n")
    (tmp_path / "ase").mkdir()
    (tmp_path / "ase" / "__init__.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *filter(None, sys.path)])  # `python -m`: the folder comes first
    assert not is_installed("ase.calculators.emt")
    monkeypatch.setattr(sys, "path", [*filter(None, sys.path)])  # the console script: it shadows nothing
    assert [is_installed(name) for name in ("ase.calculators.emt", "os.path", "sys", "atomlens.reference")] == [
        True
    ] * 4
    assert not is_installed("mine")
    assert not is_installed("nowhere")
    with pytest.raises(InputError, match=r"mine.py, outside of the installed packages.*--trust"):
        import_calculator("mine:EMT")
    assert not (tmp_path / "ran").exists()
    assert isinstance(import_calculator("mine:EMT", trust=True), Calculator)
    assert (tmp_path / "ran").exists()


def test_names_of_models_are_no_import_paths(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_import_path("tblite.ase:TBLite")
    for name in ("zoo:qm9-u0-painn", "sevenn:7net-0", "model.safetensors", "C:\\model", "a b:c"):
        assert not is_import_path(name)
    Path("a:b").touch()
    assert not is_import_path("a:b")


def test_a_box_gives_open_structures_a_cell_and_keeps_images_apart() -> None:
    inner = NeedsCell(rc=5.0)
    with pytest.raises(InputError, match="a cell is needed"):
        CalculatorModel(inner, CalculatorOrigin("x:Y")).predict(WATER)
    boxed = CalculatorModel(inner, CalculatorOrigin("x:Y", box=20.0))
    open_one = CalculatorModel(LennardJones(rc=5.0), CalculatorOrigin("x:Y"))
    assert boxed.predict(WATER).energy == pytest.approx(open_one.predict(WATER).energy, abs=1e-9)
    np.testing.assert_allclose(boxed.predict(WATER).forces, open_one.predict(WATER).forces, rtol=1e-9)
    assert "20 Å" in boxed.facts.card["box"]
    long = ase.Atoms("H2", [[0, 0, 0], [0, 0, 12.0]])
    with pytest.raises(InputError, match=r"--box 20: H2 needs a box of 22 Å or more"):
        boxed.predict(long)
    crystal = ase.build.bulk("Cu")
    assert boxed.predict(crystal).energy == pytest.approx(open_one.predict(crystal).energy)  # keeps its own cell
    with pytest.raises(InputError, match="give a length above 0"):
        load_calculator("ase.calculators.emt:EMT", box=-1.0)


class Half(LennardJones):
    """Fails where two atoms are nearer than 1 Å."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        if atoms.get_all_distances()[0, 1] < 1.0:
            raise RuntimeError("too near")
        super().calculate(atoms, list(properties), list(system_changes))


def test_a_scan_skips_what_fails_and_says_why() -> None:
    pair = ase.Atoms("Ar2", [[0, 0, 0], [0, 0, 2.0]])
    places = np.zeros((3, 2, 3))
    places[:, 1, 2] = [0.5, 1.5, 2.0]
    found = scan(Half(), pair, places)
    assert np.isnan(found.energies).tolist() == [True, False, False]
    assert found.reason == "RuntimeError: too near"
    np.testing.assert_allclose(found.forces[1:, 0], -found.forces[1:, 1])


def test_a_scan_of_our_own_network_is_its_predictions() -> None:
    model = small_model("painn", cutoff=3.0)
    rng = np.random.default_rng(0)
    places = WATER.positions + 0.1 * rng.normal(size=(5, 3, 3))
    found = scan(model, WATER, places)
    for k, place in enumerate(places):
        one = model.predict(ase.Atoms(WATER.numbers, place))
        assert found.energies[k] == pytest.approx(one.energy, abs=1e-9)
        np.testing.assert_allclose(found.forces[k], one.forces, atol=1e-9)


def test_a_calculator_is_no_model_to_explain() -> None:
    with pytest.raises(InputError, match="check and response take it"):
        load_model("ase.calculators.emt:EMT")
