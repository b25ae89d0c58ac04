from __future__ import annotations

from itertools import combinations
from math import comb, sqrt

import ase
import ase.build
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlens.reference import many_body_expansion
from atomlens.structures import InputError
from samples import small_model


def cluster(n: int, seed: int = 0) -> tuple[ase.Atoms, list[list[int]]]:
    """`n` pairs of hydrogen atoms at random."""
    positions = np.random.default_rng(seed).uniform(0, 8, (2 * n, 3))
    return ase.Atoms(f"H{2 * n}", positions), [[k, n + k] for k in range(n)]


def pair_energy(atoms: ase.Atoms) -> float:
    distances = atoms.get_all_distances()
    return float(sum(1 / (1 + distances[i, j] ** 2) for i, j in combinations(range(len(atoms)), 2)))


@given(n=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_a_pair_potential_has_no_terms_of_three(n, seed):
    atoms, molecules = cluster(n, seed)
    found = many_body_expansion(pair_energy, atoms, molecules)
    if n >= 3:
        assert np.abs(found.order(3).energy).max() < 1e-12
    assert abs(found.remainder) < 1e-12
    assert found.energy == pytest.approx(pair_energy(atoms))
    if n >= 2:
        (i, j), x = molecules[0], atoms.get_all_distances()
        k, m = molecules[1]
        between = sum(1 / (1 + x[a, b] ** 2) for a in (i, j) for b in (k, m))
        assert found.order(2).energy[0] == pytest.approx(between)


def test_terms_of_a_known_function_of_sets():
    atoms, molecules = cluster(4)
    found = many_body_expansion(lambda a: sqrt(len(a) / 2), atoms, molecules)
    np.testing.assert_allclose(found.order(1).energy, 1.0)
    np.testing.assert_allclose(found.order(2).energy, sqrt(2) - 2)
    np.testing.assert_allclose(found.order(3).energy, sqrt(3) - 3 * (sqrt(2) - 2) - 3)
    fourth = 2 - 4 - 6 * (sqrt(2) - 2) - 4 * (sqrt(3) - 3 * (sqrt(2) - 2) - 3)
    assert found.remainder == pytest.approx(fourth)
    assert found.interaction == pytest.approx(2 - 4)
    assert found.order(3).molecules.tolist() == [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(("n", "order", "extra"), [(5, 2, 1), (3, 3, 0), (2, 3, 0), (6, 3, 1)])
def test_count_of_evaluations(n, order, extra):
    calls, seen = [], []
    atoms, molecules = cluster(n)
    found = many_body_expansion(
        lambda a: calls.append(a) or 0.0, atoms, molecules, max_order=order, progress=lambda *p: seen.append(p)
    )
    assert len(calls) == found.evaluations == sum(comb(n, k) for k in range(1, order + 1)) + extra
    assert seen[-1] == (len(calls), len(calls))


def test_molecules_are_found_and_a_model_is_expanded():
    model = small_model("painn", cutoff=4.0)
    atoms = ase.build.molecule("H2O")
    for shift in (2.9, 5.8):
        other = ase.build.molecule("H2O")
        other.translate([shift, 0.3, 0])
        atoms += other
    found = many_body_expansion(lambda a: model.predict(a).energy, atoms)
    assert found.molecules == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    total = sum(float(terms.energy.sum()) for terms in found.orders)
    assert total == pytest.approx(model.predict(atoms).energy, abs=1e-10)
    assert np.abs(found.order(3).energy).max() > 1e-9  # three molecules share neighbours


def test_charges_go_with_their_molecules():
    atoms, molecules = cluster(3)
    atoms.info["charge"] = 1
    with pytest.raises(InputError, match="cluster has charge 1"):
        many_body_expansion(pair_energy, atoms, molecules)
    told = many_body_expansion(lambda a: float(a.info["charge"]), atoms, molecules, charges=[1, 0, 0])
    assert told.order(1).energy.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("molecules", [[[0, 1]], [[0, 1], [1, 2, 3]], [[0, 1], [2, 3], []]])
def test_molecules_must_make_up_the_cluster(molecules):
    with pytest.raises(InputError, match="do not make up the cluster"):
        many_body_expansion(pair_energy, cluster(2)[0], molecules)
