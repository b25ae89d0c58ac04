"""Potentials whose terms are known: terms against forces, removal and published values; what they refuse."""

from __future__ import annotations

from itertools import combinations

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atomlens import InputError
from atomlens.data.known import make_known
from atomlens.reference.known import known_names, known_potential, smooth_cutoff


@pytest.mark.parametrize("name", known_names())
def test_terms_of_known_potentials_add_up_and_forces_are_their_gradient(name: str) -> None:
    potential = known_potential(name)
    atoms = potential.cluster(np.random.default_rng(3), 6)
    terms = potential.terms(atoms)
    assert terms.energy == pytest.approx(terms.pair_terms.sum() + terms.triple_terms.sum())
    assert (potential.triple is None) == (not terms.triple_terms.any())
    numeric = np.zeros((6, 3))
    for k, axis in np.ndindex(6, 3):
        energies = []
        for step in (1e-5, -1e-5):
            moved = atoms.copy()
            moved.positions[k, axis] += step
            energies.append(potential.terms(moved).energy)
        numeric[k, axis] = -(energies[0] - energies[1]) / 2e-5
    np.testing.assert_allclose(terms.forces, numeric, atol=1e-7 * np.abs(numeric).max() + 1e-8)


@pytest.mark.parametrize("name", known_names())
def test_terms_are_what_removal_of_atoms_leaves(name: str) -> None:
    potential = known_potential(name)
    atoms = potential.cluster(np.random.default_rng(4), 6)
    terms = potential.terms(atoms)
    energy = lambda members: potential.terms(atoms[list(members)]).energy  # noqa: E731
    for members, value in zip(terms.pairs.tolist(), terms.pair_terms, strict=True):
        assert energy(members) == pytest.approx(value, abs=1e-12)
    for members, value in zip(terms.triples.tolist(), terms.triple_terms, strict=True):
        inner = sum(energy(p) for p in combinations(members, 2))
        assert energy(members) - inner == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", known_names())
def test_known_terms_end_smoothly_at_the_cutoff(name: str) -> None:
    potential = known_potential(name)
    number = potential.elements[0]
    for gap, bound in ((0.0, 0.0), (1e-3, 1e-6)):
        atoms = ase.Atoms([number] * 2, positions=[[0, 0, 0], [0, 0, potential.cutoff - gap]])
        terms = potential.terms(atoms)
        assert abs(terms.energy) <= bound
        assert np.abs(terms.forces).max() <= max(bound * 1e3, 1e-12)


def test_axilrod_teller_of_an_equilateral_triangle() -> None:
    potential = known_potential("axilrod-teller")
    side = 2.0  # below where the terms begin to fade
    atoms = ase.Atoms("Kr3", positions=[[0, 0, 0], [side, 0, 0], [side / 2, side * 3**0.5 / 2, 0]])
    (value,) = potential.terms(atoms).triple_terms
    assert value == pytest.approx(150.0 * (1 + 3 / 8) / side**9)


def test_stillinger_weber_is_that_of_silicon() -> None:
    """Cohesive energy of the diamond lattice: -2 eps an atom at the minimum (Stillinger and Weber 1985)."""
    potential = known_potential("stillinger-weber")
    crystal = ase.build.bulk("Si", a=5.431, cubic=True) * (2, 2, 2)
    crystal.pbc = False
    terms = potential.terms(crystal)
    middle = int(np.linalg.norm(crystal.positions - crystal.positions.mean(axis=0), axis=1).argmin())
    mine = (terms.pairs == middle).any(axis=1)
    assert 0.5 * terms.pair_terms[mine].sum() == pytest.approx(-2 * 2.16826, rel=1e-3)
    # Angles of the perfect lattice cost nothing at a bulk atom.
    bonded = {int(k) for k in terms.pairs[mine & (terms.pair_terms < -1e-3)].ravel()}
    inside = [set(t) <= bonded for t in terms.triples.tolist()]
    assert np.abs(terms.triple_terms[inside]).max() < 1e-9


def test_known_potentials_refuse_what_they_do_not_know() -> None:
    with pytest.raises(InputError, match="does not exist; choose lennard-jones"):
        known_potential("buckingham")
    with pytest.raises(InputError, match="no parameters for atomic number 6"):
        known_potential("morse").terms(ase.Atoms("C2", positions=[[0, 0, 0], [0, 0, 2]]))
    with pytest.raises(InputError, match="periodic"):
        known_potential("lennard-jones").terms(ase.build.bulk("Ar"))
    with pytest.raises(InputError, match="give at least 1"):
        make_known("morse", 0)
    assert known_potential("morse").terms(ase.Atoms("Ar")).energy == 0.0


@given(st.floats(0.0, 3.0))
def test_smooth_cutoff_falls_from_one_to_zero(r: float) -> None:
    value = float(smooth_cutoff(torch.tensor([r], dtype=torch.float64), 1.0, 2.0))
    assert 0.0 <= value <= 1.0
    assert value == 1.0 if r <= 1.0 else value < 1.0
    assert (value == 0.0) == (r >= 2.0) or r > 1.999


def test_made_data_are_the_potential_and_repeat_with_their_seed() -> None:
    data, again = make_known("morse", 4, seed=5), make_known("morse", 4, seed=5)
    np.testing.assert_array_equal(data.positions, again.positions)
    assert not np.array_equal(data.positions[:3], make_known("morse", 4, seed=6).positions[:3])
    for k in range(4):
        terms = known_potential("morse").terms(data.atoms(k))
        assert data.column("energy").values[k] == pytest.approx(terms.energy)
        part = slice(int(data.starts[k]), int(data.starts[k + 1]))
        np.testing.assert_allclose(data.column("forces").values[part], terms.forces)
