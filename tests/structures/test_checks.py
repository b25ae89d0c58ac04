"""Structures that no potential is defined on are refused, others are not."""

from __future__ import annotations

import math

import ase
import ase.build
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomlens.structures import InputError, build_graph, check_atoms
from samples import crystals, neighbours_by_force

TRICLINIC = np.array([[4.0, 0.0, 0.0], [1.5, 5.0, 0.0], [-1.0, 0.7, 6.0]])


def water(**changes) -> ase.Atoms:
    atoms = ase.build.molecule("H2O")
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


def moved(atom: int, to: object) -> ase.Atoms:
    atoms = ase.build.molecule("H2O")
    atoms.positions[atom] = to
    return atoms


def in_a_cell(fractional: list[list[float]], cell: object = TRICLINIC, pbc: object = True) -> ase.Atoms:
    cell = np.array(cell, dtype=float)
    return ase.Atoms("CO"[: len(fractional)], positions=np.array(fractional) @ cell, cell=cell, pbc=pbc)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (ase.Atoms(), "has no atoms"),
        (ase.Atoms("XH", positions=[[0, 0, 0], [0, 0, 1]]), "atomic number 0 is no element"),
        (ase.Atoms([119], positions=[[0, 0, 0]]), "atomic number 119 is no element"),
        (moved(1, [0, 0, math.nan]), r"atom 1 \(H\) is at .*nan.*must be finite"),
        (moved(2, [math.inf, 0, 0]), r"atom 2 \(H\) is at .*inf.*must be finite"),
        (moved(0, [0, -3e8, 0]), r"atom 0 \(O\).*more than 1e\+07 Å out"),
        (moved(2, [0.0, 0.763239, -0.477047]), r"atoms 1 \(H\) and 2 \(H\) lie within 0.1 Å"),
        (water(pbc=True), "spans no volume"),
        (water(cell=[5, 5, 0], pbc=True), "spans no volume"),
        (water(cell=[[5, 0, 0], [10, 0, 0], [0, 0, 5]], pbc=True), "spans no volume"),
        (water(cell=[[5, 0, 0], [10, 0, 0], [0, 0, 5]], pbc=[True, True, False]), "spans no volume"),
        (water(cell=[5, 5, math.nan], pbc=True), "entries that are not finite"),
        (water(cell=[5, math.inf, 5], pbc=True), "entries that are not finite"),
        # On one spot through an image, in cells of any shape.
        (in_a_cell([[0, 0, 0], [1, 0, 0]]), r"atoms 0 \(C\) and 1 \(O\) lie within 0.1 Å"),
        (in_a_cell([[0.005, 0.5, 0.5], [-0.005, 0.5, 1.5]]), "lie within 0.1 Å"),
        (in_a_cell([[0.3, 0.2, 0.001], [2.3, -1.8, 0.999]]), "lie within 0.1 Å"),
        (in_a_cell([[0, 0, 0], [0, 1, 0]], pbc=[False, True, False]), "lie within 0.1 Å"),
        (in_a_cell([[0, 0, 0.003], [0, 0, 0.998]], cell=np.diag([4.0, 5.0, 6.0])), "lie within 0.1 Å"),
        (in_a_cell([[0, 0, 0]], cell=np.diag([0.05, 5.0, 6.0])), r"atom 0 \(C\) lies within 0.1 Å of its own"),
        # A cell that a shear makes thin: its vectors are long, and an atom is nearly on its own image.
        (in_a_cell([[0, 0, 0]], cell=[[5, 0, 0], [5, 0.05, 0], [0, 0, 5]]), "of its own periodic image"),
    ],
)
def test_unusable_structures_are_refused_in_one_line(atoms, message):
    with pytest.raises(InputError, match=message) as caught:
        check_atoms(atoms)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        build_graph(atoms, 5.0)


@pytest.mark.parametrize(
    "atoms",
    [
        ase.Atoms("H"),
        ase.Atoms("Og2", positions=[[0, 0, 0], [0, 0, 0.11]]),
        water(cell=[[math.nan] * 3] * 3),  # a cell means nothing where nothing repeats
        in_a_cell([[0, 0, 0], [1, 0, 0]], pbc=[False, True, True]),
        in_a_cell([[0, 0, 0], [0.03, 0, 0]]),
        ase.build.bulk("NaCl", "rocksalt", a=5.64),
        ase.build.graphene(),
    ],
)
def test_usable_structures_pass_unchanged(atoms):
    before = atoms.copy()
    check_atoms(atoms)
    np.testing.assert_array_equal(atoms.positions, before.positions)
    np.testing.assert_array_equal(atoms.cell.array, before.cell.array)


@given(atoms=crystals(), shift=st.floats(-0.25, 0.25), image=st.tuples(*[st.integers(-2, 2)] * 3))
def test_a_copy_of_an_atom_is_found_in_whichever_image_it_lies(atoms, shift, image):
    copy = atoms[:1]
    copy.positions += np.array(image) * atoms.pbc @ atoms.cell.array + [shift, 0, 0]
    both = atoms + copy
    if neighbours_by_force(both, 0.1):
        with pytest.raises(InputError, match=r"within 0.1 Å"):
            check_atoms(both)
    else:
        check_atoms(both)
