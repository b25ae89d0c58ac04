"""Structures from SMILES strings: what is made, what is said of it, and what is refused."""

from __future__ import annotations

import contextlib

import ase
import ase.io
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import rdBase

from atomlens import InputError, read_structures
from atomlens.structures import check_atoms, geometry_note, perceive_bonds, structure_from_smiles


@pytest.mark.parametrize(
    ("smiles", "formula"),
    [
        ("CCO", "C2H6O"),
        ("c1ccccc1", "C6H6"),
        ("C#CC=O", "C3H2O"),
        ("F/C=C/F", "C2H2F2"),
        ("C[C@@H](N)C(=O)NC", "C4H10N2O"),
    ],
)
def test_a_string_becomes_its_molecule(smiles, formula):
    (atoms,) = read_structures(smiles)
    assert atoms.get_chemical_formula() == formula
    check_atoms(atoms)
    # Relaxed: no bond is far from the sum of covalent radii, and RDKit finds the orders back from the geometry.
    bonds = perceive_bonds(atoms)
    assert bonds.has_orders
    lengths = np.linalg.norm(atoms.positions[bonds.pairs[:, 0]] - atoms.positions[bonds.pairs[:, 1]], axis=1)
    assert lengths.min() > 0.9
    assert lengths.max() < 1.7
    assert atoms.info["name"] == smiles
    note = geometry_note(atoms)
    assert note is not None
    for said in (smiles, "RDKit", rdBase.rdkitVersion, "ETKDGv3", "seed 0", "MMFF94"):
        assert said in note


def test_the_seed_decides():
    first, again, other = (read_structures("CCCO", seed=seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert np.abs(first.positions - other.positions).max() > 1e-3


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("CCO", ase.Atoms("He"), format="extxyz")
    (atoms,) = read_structures("CCO")
    assert atoms.get_chemical_formula() == "He"
    assert geometry_note(atoms) is None


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("CC(=O)[O-]", "total charge -1, which the model does not see"),
        ("[NH4+]", "total charge +1, which"),
        ("[CH3]", "1 unpaired electron, which"),
        ("[O][O]", "2 unpaired electrons, which"),
    ],
)
def test_charges_and_radicals_are_told(smiles, said):
    (atoms,) = read_structures(smiles)
    assert said in str(geometry_note(atoms))


def test_the_charge_tells_bond_orders():
    (atoms,) = read_structures("CC(=O)[O-]")
    assert atoms.info["charge"] == -1
    assert perceive_bonds(atoms).has_orders
    assert not perceive_bonds(atoms, charge=0).has_orders


@pytest.mark.parametrize(("smiles", "orders"), [("[CH3]", [1] * 3), ("[O][O]", [1]), ("CC(=O)[O]", [1, 1, 1, 1, 1, 2])])
def test_bonds_of_a_string_are_known(smiles, orders):
    (atoms,) = read_structures(smiles)
    bonds = perceive_bonds(atoms)
    assert bonds.has_orders
    assert sorted(bonds.orders) == orders
    assert "unknown" not in {bonds.bond_class(order) for order in bonds.orders}


def test_bonds_of_a_string_end_where_atoms_move():
    (atoms,) = read_structures("CC")
    assert len(perceive_bonds(atoms).pairs) == 7
    atoms.positions[[0, 2, 3, 4]] += 5.0
    assert len(perceive_bonds(atoms).pairs) == 6
    assert len(perceive_bonds(atoms[[0, 2, 3, 4]]).pairs) == 3


@pytest.mark.parametrize("told", ["", "[]", '{"bonds": [[0, 9, 1]], "atoms": "x"}', 3, None])
def test_bonds_that_mean_nothing_are_perceived(told):
    (atoms,) = read_structures("CC")
    atoms.info["atomlens_bonds"] = told
    assert len(perceive_bonds(atoms).pairs) == 7


def test_inner_charges_and_closed_shells_need_no_word():
    for smiles in ("CCO", "C[N+](=O)[O-]"):
        assert "not told" not in str(geometry_note(read_structures(smiles)[0]))


def test_what_no_field_relaxes_says_so():
    note = str(geometry_note(read_structures("C[B]")[0]))  # MMFF94 has no boron
    assert "relaxed with UFF" in note or "not relaxed" in note


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("missing.xyz", "missing.xyz: no such file, and no SMILES string"),
        ("C1CC", "no such file, and no SMILES string"),
        ("  ", "no such file, and no SMILES string"),
        ("x" * 5000, "no such file, and no SMILES string"),
        ("a/b/c", "no such file, and no SMILES string"),
        ("C\0C", "no such file, and no SMILES string"),
        ("O.O", "several molecules"),
        ("C*", "placeholder"),
        ("C" * 400, "400 heavy atoms"),
    ],
)
def test_what_is_no_molecule(source, said):
    with pytest.raises(InputError) as error:
        read_structures(source)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("frames", ["0", "-1", ":", ":10", "::5"])
def test_frames_of_one_structure(frames):
    assert len(read_structures("O", frames)) == 1


@pytest.mark.parametrize("frames", ["1", "-2", "5:", "x"])
def test_frames_that_one_structure_has_not(frames):
    with pytest.raises(InputError, match="frames"):
        read_structures("O", frames)


@given(st.text(max_size=12))
def test_any_text_is_a_structure_or_one_clear_line(text):
    with contextlib.suppress(InputError):  # told in one line; any other exception fails
        found = structure_from_smiles(text)
        assert found is None or len(found) > 0


def test_embedding_has_an_end(monkeypatch):
    monkeypatch.setattr("atomlens.structures.smiles._PATIENCE", 1)
    with pytest.raises(InputError, match=r"no geometry for SMILES 'CCC.*\.\.\.' within 1 s; give a file"):
        structure_from_smiles("C" * 149)
