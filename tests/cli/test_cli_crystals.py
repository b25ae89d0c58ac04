"""Atoms of a crystal that are there in part: said on the terminal, in the summary and on the page."""

import json

import pytest
from cli_samples import run

from atomlens.structures import StructureWarning, read_structures

CIF = """data_x
_cell_length_a 9
_cell_length_b 9
_cell_length_c 9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
O1 O 0.10 0.10 0.11 {0}
H1 H 0.10 0.185 0.045 {1}
H2 H 0.10 0.015 0.045 {1}
"""


@pytest.mark.filterwarnings("default::atomlens.structures.StructureWarning")
@pytest.mark.parametrize("shares", [("1.0", "0.5"), ("0.7(2)", "1"), ("1", "0.0")])
def test_partial_occupancies_are_said_everywhere(tmp_path, monkeypatch, capsys, shares):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.cif").write_text(CIF.format(*shares))
    done = run(capsys, "explain", "zoo:qm9-u0-schnet", "w.cif", "--max-order", 1, "--out", "run")
    assert done.code == 0, done.err
    assert "warning: w.cif: " in done.err
    assert "occupancy below 1" in done.err
    (note,) = json.loads((tmp_path / "run" / "summary.json").read_text())["frames"][0]["notes"]
    assert "occupancy below 1" in note
    assert "occupancy below 1" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("shares", [("?", "1"), (".", "?"), ("1.5", "1")])
def test_occupancies_that_are_no_shares_are_said(tmp_path, shares):
    (tmp_path / "w.cif").write_text(CIF.format(*shares))
    with pytest.warns(StructureWarning, match=r"with an occupancy that is no share; each counts as wholly filled"):
        (atoms,) = read_structures(tmp_path / "w.cif")
    assert atoms.get_chemical_formula() == "H2O"


def test_whole_atoms_need_no_word(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.cif").write_text(CIF.format("1.0", "1"))
    done = run(capsys, "explain", "zoo:qm9-u0-schnet", "w.cif", "--max-order", 1, "--out", "run")
    assert (done.code, done.err) == (0, "")
