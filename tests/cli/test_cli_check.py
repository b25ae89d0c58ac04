"""`atomlens check` from the command line."""

import json

import polars as pl
import pytest
from cli_samples import run

MORSE = '{"epsilon": 4.0, "rho0": 1.0, "r0": 0.74, "rcut1": 20, "rcut2": 30}'


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "h2.xyz").write_text("2\n\nH 0 0 0\nH 0 0 0.74\n")
    (tmp_path / "cell.xyz").write_text('2\nLattice="5 0 0 0 5 0 0 0 5"\nH 0 0 0\nH 0 0 0.74\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_ase_calculator_by_import_path(here, capsys):
    made = "ase.calculators.morse:MorsePotential", "h2.xyz", "--kwargs", MORSE
    done = run(capsys, "check", *made, "--temperature", "300", "--out", "out")
    assert done.code == 0, done.err
    assert "H0-H1 stretched" in done.out
    assert "The one wall holds down to 0.5 Å." in done.out
    summary = json.loads((here / "out" / "summary.json").read_text())
    assert summary["options"]["temperature"] == 300.0
    assert len(pl.read_parquet(here / "out" / "exits.parquet")) == 2


def test_what_is_outside_of_the_training_set_is_said(here, capsys):
    done = run(capsys, "check", "organic", "h2.xyz", "--out", "out")
    assert done.code == 0, done.err
    assert "outside of what the model was trained on: H-H distances of 0.74 Å" in done.out
    assert "H-H distances of" in (here / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ase.calculators.morse:MorsePotential", "cell.xyz"), "periodic"),
        (("ase.calculators.morse:MorsePotential", "h2.xyz", "--unit", "eV"), "--unit eV is for models"),
        (("ase.calculators.morse:MorsePotential", "h2.xyz", "--frame", ":"), "give its number"),
        (("zoo:qm9-u0-painn", "h2.xyz", "--kwargs", "{}"), "--kwargs {} is for ASE calculators"),
        (("zoo:qm9-u0-pain", "h2.xyz"), "zoo:qm9-u0-pain"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, said):
    done = run(capsys, "check", *arguments, "--out", "out")
    assert done.code == 2
    assert said in done.err
    assert not (here / "out").exists()
