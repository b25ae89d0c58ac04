"""`atomlens demo`: shipped models and molecules, side by side; and SMILES strings on the command line."""

import json

import ase.io
import polars as pl
import pytest
from cli_samples import run

import atomlens
from atomlens.runs.demonstration import MAIN_MODELS, MOLECULES, demo_molecules
from atomlens.structures import perceive_bonds


@pytest.mark.slow
def test_the_demo_from_nothing_to_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = run(capsys, "demo")
    assert done.code == 0
    assert all(line.startswith("explaining: ") for line in done.err.splitlines())  # progress, on slow machines
    out = tmp_path / "atomlens-demo"
    summary = json.loads((out / "summary.json").read_text())
    molecules = ase.io.read(out / MOLECULES, ":")
    assert [entry["name"] for entry in summary["frames"]] == [atoms.info["name"] for atoms in molecules]
    for said in ("atomlens-demo/report.html", "atomlens explain 'c1ccccc1O'", "ethanol", "benzene", *MAIN_MODELS):
        assert said in done.out
    for name in MAIN_MODELS:
        ex = atomlens.explain(atomlens.load_model(f"zoo:{name}"), molecules[0])
        assert summary["frames"][0]["prediction"][name] == pytest.approx(ex.prediction, rel=1e-9)
        assert (out / name / "report.html").is_file()
    assert set(pl.read_parquet(out / "pairs.parquet")["model"]) == set(MAIN_MODELS)
    again = run(capsys, "demo")
    assert again.code == 2
    assert "--overwrite" in again.err


def test_the_molecules_are_what_they_are_called():
    """Names, sizes and bonds; the models' training set has the reference energies."""
    molecules = {atoms.info["name"]: atoms for atoms in ase.io.read(demo_molecules(), ":")}
    assert len(molecules) >= 5
    formulas = {"ethanol": "C2H6O", "benzene": "C6H6", "uracil": "C4H4N2O2", "propynal": "C3H2O"}
    assert formulas == {name: molecules[name].get_chemical_formula() for name in formulas}
    for atoms in molecules.values():
        assert len(atoms) <= 29
        assert set(atoms.numbers.tolist()) <= {1, 6, 7, 8, 9}
        assert atoms.info["source"]
        assert perceive_bonds(atoms).has_orders
    model = atomlens.load_model("zoo:qm9-u0-painn")
    for atoms in molecules.values():
        if "U0_atomization_eV" in atoms.info:  # six times the model's mean error
            assert model.predict(atoms).value == pytest.approx(atoms.info["U0_atomization_eV"], abs=0.19)


def test_a_smiles_string_in_place_of_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = run(capsys, "explain", "zoo:qm9-u0-painn", "CCO", "--out", "run", "--max-order", 2)
    assert (done.code, done.err) == (0, "")
    said = " ".join(done.out.split())
    assert "geometry of SMILES CCO by RDKit" in said
    assert "ETKDGv3" in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["structures"] == "CCO"
    assert "by RDKit" in summary["frames"][0]["geometry"]
    assert "geometry of SMILES CCO by RDKit" in (tmp_path / "run" / "report.html").read_text()


def test_a_molecule_without_a_model_is_explained_by_the_organic_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = run(capsys, "explain", "CCO", "--out", "short", "--max-order", 2)
    named = run(capsys, "explain", "zoo:organic-painn", "CCO", "--out", "named", "--max-order", 2)
    assert (short.code, short.err, named.code) == (0, "", 0)
    folders = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("short", "named")]
    assert [folder["model"]["path"] for folder in folders] == ["organic", "zoo:organic-painn"]
    assert folders[0]["frames"][0]["prediction"] == folders[1]["frames"][0]["prediction"]


@pytest.mark.parametrize("model", ["organic", "zoo:qm9-u0-painn", "sevenn:7net-0", "best.model"])
def test_a_model_without_a_molecule(tmp_path, monkeypatch, capsys, model):
    monkeypatch.chdir(tmp_path)
    done = run(capsys, "explain", model, "--out", "run")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"atomlens: {model} is a model; give structures to explain with it")
    assert done.err.count("\n") == 1


def test_a_file_has_no_such_word(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ase.io.write("x.xyz", ase.io.read(demo_molecules(), 0), format="extxyz")
    done = run(capsys, "explain", "zoo:qm9-u0-painn", "x.xyz", "--out", "run", "--max-order", 1)
    assert "RDKit" not in done.out
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["frames"][0]["geometry"] == "from the file"


def test_an_ion_is_told_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = run(capsys, "explain", "zoo:qm9-u0-painn", "CC(=O)[O-]", "--out", "run", "--max-order", 2)
    assert done.code == 0
    assert "total charge -1, which the model does not see" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("CC(",), "no such file, and no SMILES string"),
        (("O.O",), "several molecules"),
        (("CBr",), "Br"),
        (("NCC(=O)NCC(=O)O", "--groups", "residues"), "no residues; give a PDB file"),
        (("CCO", "--frames", "3"), "'3'"),
    ],
)
def test_strings_that_cannot_be_used(tmp_path, monkeypatch, capsys, args, said):
    monkeypatch.chdir(tmp_path)
    done = run(capsys, "explain", "zoo:qm9-u0-painn", *args, "--out", "run")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
