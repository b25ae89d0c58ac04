"""Mistakes that are reported before torch and RDKit are loaded; pipes and devices; what is said of files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import ase.build
import ase.io
import pytest
from cli_samples import run

from atomlens import load_model
from atomlens.cli.early import smiles_elements
from atomlens.structures import InputError, read_structures

# Runs a command and fails if it loads a library that a mistake does not need.
CODE = """
import sys
from atomlens.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as error:
    heavy = sorted({"torch", "rdkit", "vesin", "polars", "matplotlib"} & set(sys.modules))
    print(error.code, *heavy)
"""


@pytest.mark.parametrize("command", ["explain", "analyze", "md", "response"])
@pytest.mark.parametrize(
    ("model", "structure", "said"),
    [
        ("zoo:rmd17-ethanol-pain", "CCO", "did you mean rmd17-ethanol-painn?"),
        ("zoo:rmd17-ethanol-painn", "CCBr", "the structure has Br, which this model never saw"),
        ("zoo:rmd17-ethanol-painn", "salt.xyz", "the structure has Na, Cl, which this model never saw"),
    ],
)
def test_nothing_heavy_is_loaded_for_a_mistake(tmp_path, command, model, structure, said):
    if command == "analyze" and not model.endswith("pain"):
        pytest.skip("sets may hold structures that are left out")
    ase.io.write(tmp_path / "salt.xyz", ase.build.bulk("NaCl", "rocksalt", a=5.6, cubic=True), format="extxyz")
    done = subprocess.run(
        [sys.executable, "-c", CODE, command, model, structure, "--out", "run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said in done.stderr
    assert done.stdout.split() == ["2"]
    assert not (tmp_path / "run").exists()


def test_an_unseen_element_gets_advice_that_the_command_can_take(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = run(capsys, "explain", "CCBr", "--out", "run").err
    assert "such as sevenn:7net-0" in said
    assert "--any-element" in said
    said = run(capsys, "md", "organic", "[He]", "--out", "run").err
    assert "such as sevenn:7net-0" in said
    assert "--any-element" not in said


@pytest.mark.parametrize("command", [["explain"], ["explain", "organic"], ["analyze", "organic"], ["md", "organic"]])
def test_no_name_is_not_the_current_folder(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    done = run(capsys, *command, "", "--out", "run")
    assert (done.code, done.err.splitlines()[-1].startswith("atomlens: no structure was named; give a file")) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("C[C@@H](N)C(=O)O", [6, 7, 8]), ("[13CH3][Se][Na]", [6, 11, 34]), ("clc", []), ("qm9:5", []), ("C%12", [6])],
)
def test_elements_of_a_smiles_string(text, numbers):
    assert smiles_elements(text) == numbers


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.xyz")
    for read in (read_structures, load_model):
        for name, kind in (("pipe.xyz", "a pipe"), ("/dev/zero", "a device")):
            with pytest.raises(InputError, match=f"{name} is {kind}"):
                read(name)
    for command in (
        ["explain", "zoo:qm9-u0-schnet", "pipe.xyz", "--out", "run"],
        ["explain", "pipe.xyz", "CCO", "--out", "run"],
        ["analyze", "pipe.xyz", "CCO", "--out", "run"],
        ["data", "check", "pipe.xyz"],
        ["data", "check", "/dev/zero"],
    ):
        outcome = run(capsys, *command)
        assert outcome.code == 2
        assert " not a file" in outcome.err


def test_what_was_read_and_what_lies_outside_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    atoms = ase.build.molecule("C6H6")
    ase.io.write("b.xyz", [atoms, atoms, atoms])
    outcome = run(capsys, "explain", "zoo:rmd17-ethanol-schnet", "b.xyz", "--frames", ":2", "--out", "run")
    assert "read 2 of 3 frames of b.xyz" in outcome.out
    assert "formula C6H6: trained on C2H6O alone" in outcome.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["n_frames_in_file"] == 3
    assert summary["frames"][0]["outside"][0].startswith("formula C6H6")
    assert "outside of what the model was trained on: formula C6H6" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.filterwarnings("default::atomlens.structures.StructureWarning")
def test_what_a_file_leaves_open_is_said_everywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = "HETATM    1  O   HOH A   1       0.000   0.000   0.119  0.50  0.00           O"
    rows = [line, *(line.replace(" O  ", " H1 ").replace("           O", "           H") for _ in "ab")]
    rows[1] = rows[1].replace(" 0.000   0.000   0.119", " 0.000   0.763  -0.477")
    rows[2] = rows[2].replace(" 0.000   0.000   0.119", " 0.000  -0.763  -0.477")
    (tmp_path / "w.pdb").write_text("\n".join(rows) + "\nEND\n")
    outcome = run(capsys, "explain", "zoo:qm9-u0-schnet", "w.pdb", "--out", "run")
    assert "warning: w.pdb: 3 atoms with occupancy below 1 (down to 0.5)" in outcome.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "occupancy below 1" in summary["frames"][0]["notes"][0]
    assert "occupancy below 1" in (tmp_path / "run" / "report.html").read_text()
