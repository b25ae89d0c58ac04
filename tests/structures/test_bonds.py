"""Bonds and fragments of molecules whose bonds are known."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from atomlens.structures import BondTable, charge_or_zero, fragments, perceive_bonds

pytestmark = pytest.mark.smoke


def named(table: BondTable) -> dict[tuple[int, int], str]:
    return {
        (i, j): table.bond_class(order)
        for (i, j), order in zip(table.pairs.tolist(), table.orders.tolist(), strict=True)
    }


def from_smiles(smiles: str) -> tuple[ase.Atoms, int, dict[tuple[int, int], float]]:
    """A molecule in three dimensions, its charge and its bond orders, all from its formula."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=1) == 0
    atoms = ase.Atoms([a.GetAtomicNum() for a in mol.GetAtoms()], positions=mol.GetConformer().GetPositions())
    bonds = {tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))): b.GetBondTypeAsDouble() for b in mol.GetBonds()}
    return atoms, Chem.GetFormalCharge(mol), bonds


def test_ethanol_has_eight_single_bonds():
    atoms = ase.build.molecule("CH3CH2OH")
    table = perceive_bonds(atoms)
    assert table.has_orders
    assert set(named(table).values()) == {"single"}
    assert table.pairs.tolist() == [[0, 1], [0, 6], [0, 7], [0, 8], [1, 2], [1, 4], [1, 5], [2, 3]]
    matrix = table.order_matrix()
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(matrix.sum(axis=0), [4, 4, 2, 1, 1, 1, 1, 1, 1])


def test_benzene_is_aromatic():
    bonds = named(perceive_bonds(ase.build.molecule("C6H6")))
    assert [bonds.get((i, (i + 1) % 6), bonds.get(((i + 1) % 6, i))) for i in range(6)] == ["aromatic"] * 6
    assert sum(kind == "single" for kind in bonds.values()) == 6


@pytest.mark.parametrize(
    ("name", "pair", "kind"),
    [("C2H2", (0, 1), "triple"), ("C2H4", (0, 1), "double"), ("HCN", (0, 1), "triple"), ("CO2", (0, 1), "double")],
)
def test_multiple_bonds(name, pair, kind):
    assert named(perceive_bonds(ase.build.molecule(name)))[pair] == kind


@pytest.mark.parametrize(
    "smiles",
    ["CC(=O)[O-]", "[NH4+]", "C[N+](C)(C)C", "[NH3+]CC(=O)[O-]", "CC(=O)NC", "c1ccoc1", "C#CC=C", "OC(F)=O"],
)
def test_ions_and_zwitterions_with_their_charge(smiles):
    atoms, charge, expected = from_smiles(smiles)
    table = perceive_bonds(atoms, charge)
    assert table.has_orders
    assert dict(zip(map(tuple, table.pairs.tolist()), table.orders.tolist(), strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("atoms", [ase.build.molecule("CH3"), ase.build.molecule("NO2"), from_smiles("CC(=O)[O-]")[0]])
def test_connectivity_stays_where_orders_cannot_be_told(atoms):
    # Radicals, and an ion that is taken for neutral.
    table = perceive_bonds(atoms)
    assert not table.has_orders
    assert set(table.orders.tolist()) == {1.0}
    assert len(table.pairs) == len(atoms) - 1
    assert set(named(table).values()) == {"unknown"}
    assert table.bond_class(0) == "none"


def test_large_structures_keep_connectivity_alone():
    water = ase.build.molecule("H2O")
    many = ase.Atoms()
    for k in range(70):
        copy = water.copy()
        copy.translate([4.0 * k, 0, 0])
        many += copy
    table = perceive_bonds(many)
    assert not table.has_orders
    assert len(table.pairs) == 140
    assert fragments(many, table) == [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(70)]


def test_atoms_without_bonds():
    table = perceive_bonds(ase.Atoms("He2", positions=[[0, 0, 0], [0, 0, 9]]))
    assert table.pairs.shape == (0, 2)
    assert table.order_matrix().tolist() == [[0, 0], [0, 0]]
    assert table.topological_distances().tolist() == [[0, 0], [0, 0]]


def test_topological_distances_count_bonds():
    table = perceive_bonds(ase.build.molecule("CH3CH2OH"))
    distances = table.topological_distances()
    np.testing.assert_array_equal(distances, distances.T)
    assert distances[0, [0, 1, 2, 3, 4]].tolist() == [0, 1, 2, 3, 2]
    assert distances[8, 3] == 4
    capped = table.topological_distances(max_distance=2)
    np.testing.assert_array_equal(capped, np.where(distances <= 2, distances, 0))


def test_fragments_are_molecules_in_order_of_their_first_atom():
    water, ethanol = ase.build.molecule("H2O"), ase.build.molecule("CH3CH2OH")
    ethanol.translate([0, 0, 8.0])
    both = water + ethanol
    shuffled = both[np.random.default_rng(3).permutation(len(both))]
    groups = fragments(shuffled)
    assert sorted(map(len, groups)) == [3, 9]
    assert sorted(a for g in groups for a in g) == list(range(12))
    assert [g[0] for g in groups] == sorted(g[0] for g in groups)
    assert {shuffled[g].get_chemical_formula() for g in groups} == {"H2O", "C2H6O"}


def test_perception_follows_a_permutation_of_the_atoms():
    atoms = ase.build.molecule("CH3COCl")
    order = np.random.default_rng(5).permutation(len(atoms))
    table = perceive_bonds(atoms[order])
    np.testing.assert_array_equal(table.order_matrix(), perceive_bonds(atoms).order_matrix()[np.ix_(order, order)])


@given(
    name=st.sampled_from(["CH3CH2OH", "C6H6", "CH3CONH2", "CH3COCl", "HCN", "C2H2"]),
    shift=st.tuples(*[st.floats(-20, 20)] * 3),
    skew=st.tuples(*[st.floats(-3, 3)] * 3),
    periodic=st.tuples(*[st.booleans()] * 3),
)
def test_bonds_go_through_the_faces_of_a_cell(name, shift, skew, periodic):
    open_one = ase.build.molecule(name)
    atoms = open_one.copy()
    atoms.translate(shift)
    atoms.set_cell([[12, 0, 0], [skew[0], 13, 0], [skew[1], skew[2], 14]])
    atoms.pbc = periodic
    atoms.wrap()  # only in the directions that repeat
    found, wanted = perceive_bonds(atoms), perceive_bonds(open_one)
    np.testing.assert_array_equal(found.pairs, wanted.pairs)
    np.testing.assert_array_equal(found.orders, wanted.orders)
    assert found.has_orders
    assert len(fragments(atoms)) == 1


def test_a_wrapped_box_of_water_is_made_of_water():
    atoms = ase.build.molecule("H2O")
    atoms.set_cell([3.1] * 3)
    atoms.pbc = True
    box = atoms.repeat(3)
    box.translate([1.4, 0.9, 0.5])
    box.wrap()
    assert [box[part].get_chemical_formula() for part in fragments(box)] == ["H2O"] * 27


def test_crystals_have_all_bonds_of_their_atoms():
    diamond = perceive_bonds(ase.build.bulk("C", cubic=True))
    np.testing.assert_array_equal(diamond.order_matrix().sum(axis=0), 4)
    copper = perceive_bonds(ase.build.bulk("Cu", cubic=True).repeat(3))
    assert np.bincount(copper.pairs.ravel()).tolist() == [12] * 108
    # Four bonds between two atoms, each through another face; and an atom that has none but its images.
    two = perceive_bonds(ase.build.bulk("C"))
    assert (two.pairs.tolist(), two.has_orders) == ([[0, 1]], False)
    one = perceive_bonds(ase.build.bulk("Cu"))
    assert (one.pairs.tolist(), one.has_orders) == ([], False)


def test_rdkit_logs_as_it_did_before():
    before = rdBase.LogStatus()
    perceive_bonds(ase.build.molecule("CH3"))
    assert rdBase.LogStatus() == before


@pytest.mark.parametrize("charge", [10**26, True, 0.5, "some", float("nan")])
def test_charges_that_are_none_count_as_zero(charge):
    assert charge_or_zero(ase.Atoms("H", info={"charge": charge})) == 0
