"""Named sets of atoms, from structures and from files."""

import json

import ase
import numpy as np
import pytest
from report_samples import ethanol, two_waters

from atomlens import InputError
from atomlens.tables import fragment_groups, named_groups, read_groups, residue_groups


def test_fragments_are_named_by_formula():
    groups = fragment_groups(two_waters() + ase.Atoms("He", positions=[[0, 9, 0]]))
    assert groups.names == ("H2O #1", "H2O #2", "He")
    assert groups.members == ((0, 1, 2), (3, 4, 5), (6,))
    assert groups.of_atoms(7).tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_residues_come_from_the_file():
    atoms = ethanol()
    atoms.set_array("residuenumbers", np.array([1, 1, 2, 1, 1, 1, 1, 1, 2]))
    atoms.set_array("residuenames", np.array(["ETH", "ETH", "HYD", "ETH", "ETH", "ETH", "ETH", "ETH", "HYD"]))
    groups = residue_groups(atoms)
    assert groups.names == ("ETH1", "HYD2")
    assert groups.members == ((0, 1, 3, 4, 5, 6, 7), (2, 8))


def test_residues_are_read_from_a_pdb_file(tmp_path):
    (tmp_path / "x.pdb").write_text(
        "ATOM      1  O   HOH A   1       0.000   0.000   0.119  1.00  0.00           O\n"
        "ATOM      2  H1  HOH A   1       0.000   0.763  -0.477  1.00  0.00           H\n"
        "ATOM      3  H2  HOH A   1       0.000  -0.763  -0.477  1.00  0.00           H\n"
        "ATOM      4 NE   NE  A   2       0.000   0.000   4.000  1.00  0.00          NE\nEND\n"
    )
    atoms = ase.io.read(tmp_path / "x.pdb")
    assert [len(members) for members in residue_groups(atoms).members] == [3, 1]


def test_atoms_that_a_file_leaves_out_form_the_last_group():
    groups = named_groups({"oxygen": [2]}, 4)
    assert groups.names == ("oxygen", "other atoms")
    assert groups.members == ((2,), (0, 1, 3))
    assert named_groups({"all": [0, 1]}, 2).names == ("all",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "not a JSON file"),
        ("[1]", "one table of names"),
        ("{}", "one table of names"),
        ('{"a": []}', "'a' is empty"),
        ('{"a": [0, 0]}', "atom 0 is in 'a' and in 'a'"),
        ('{"a": [0], "b": [0]}', "atom 0 is in 'a' and in 'b'"),
        ('{"a": ["C"]}', "not a list of atom indices"),
        ('{"a": [true]}', "not a list of atom indices"),
        ('{"a": 1}', "not a list of atom indices"),
        ("\udcff", "not a JSON file"),
    ],
)
def test_group_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "groups.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message):
        read_groups(path)


def test_group_files_that_can(tmp_path):
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"a": [0, 1], "b": [2]}))
    assert read_groups(path) == {"a": [0, 1], "b": [2]}


@pytest.mark.parametrize("index", [-1, 3])
def test_groups_outside_the_structure(index):
    with pytest.raises(InputError, match=rf"names atom {index}, but the structure has 3 atoms"):
        named_groups({"a": [index]}, 3)
