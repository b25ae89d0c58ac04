"""A SchNetPack file that predicts several properties: which one is said on the command line."""

import json
import shutil
from pathlib import Path

import pytest
from cli_samples import run, write_inputs

SEVERAL = Path(__file__).parents[1] / "reference" / "schnetpack" / "energy_and_dipole.model"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    shutil.copy(SEVERAL, "two.model")
    return tmp_path


def test_the_output_is_chosen(here, capsys):
    found = {}
    for name in ("energy", "dipole_moment"):
        unit = ("--unit", "eV") if name == "energy" else ()
        done = run(
            capsys, "explain", "two.model", "ethanol.xyz", "--output", name, *unit, "--max-order", 1, "--out", name
        )
        assert done.code == 0, done.err
        found[name] = json.loads((here / name / "summary.json").read_text())
        assert found[name]["property"] == name
    one, other = (summary["frames"][0]["prediction"] for summary in found.values())
    assert one != other


@pytest.mark.parametrize("command", ["explain", "analyze", "md"])
def test_one_that_is_not_chosen_is_asked_for(here, capsys, command):
    done = run(capsys, command, "two.model", "ethanol.xyz", "--unit", "eV", "--out", "run")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "predicts energy, dipole_moment; choose one with --output NAME" in done.err
    done = run(capsys, command, "two.model", "ethanol.xyz", "--unit", "eV", "--output", "charge", "--out", "run")
    assert done.code == 2
    assert "output='charge' is not among them" in done.err
    assert not (here / "run").exists()
