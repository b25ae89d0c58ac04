"""A SchNetPack file that predicts several properties: which one is said on the command line."""

import json
import shutil
from pathlib import Path

import pytest
from ase.build import molecule
from cli_samples import run, write_inputs

from atomlens import load_model

SEVERAL = Path(__file__).parents[1] / "reference" / "schnetpack" / "two_energies.model"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    shutil.copy(SEVERAL, "two.model")
    return tmp_path


def test_each_of_two_energies_can_be_chosen(here, capsys):
    found = []
    for name in ("energy", "energy_high"):
        asked = ("--output", name, "--unit", "eV", "--max-order", 1)
        done = run(capsys, "explain", "two.model", "ethanol.xyz", *asked, "--out", name)
        assert done.code == 0, done.err
        (frame,) = json.loads((here / name / "summary.json").read_text())["frames"]
        expected = load_model("two.model", energy_unit="eV", output=name).predict(molecule("CH3CH2OH")).value
        assert frame["prediction"] == pytest.approx(expected, rel=1e-9)
        found.append(frame["prediction"])
    assert abs(found[0] - found[1]) > 1e-3


@pytest.mark.parametrize("command", ["explain", "analyze", "md"])
@pytest.mark.parametrize("more", [(), ("--output", "charge")])
def test_one_that_is_not_named_or_not_there_is_asked_for(here, capsys, command, more):
    done = run(capsys, command, "two.model", "ethanol.xyz", "--unit", "eV", *more, "--out", "run")
    assert done.code == 2
    assert done.err.count("\n") == 1
    said = "output='charge' is not among them" if more else "choose one with --output NAME"
    assert f"predicts energy, energy_high; {said}" in done.err
    assert not (here / "run").exists()
