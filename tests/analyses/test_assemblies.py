"""Molecules put together: gaps and contacts are what was asked for."""

from __future__ import annotations

from dataclasses import replace

import ase.build
import numpy as np
import pytest
from ase.data import vdw_radii
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from atomlens import Potential
from atomlens.analyses.assemblies import (
    cluster_of,
    joined,
    lone_molecules,
    moved_apart,
    predictions,
    shift_to_contact,
)
from samples import branched, crowded_cell, small_model

seeds = st.integers(0, 10_000)


@given(seeds, st.floats(0.5, 5.0))
def test_contact_is_the_last_one(seed: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    fixed, moved = rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    shift = shift_to_contact(fixed, moved, direction, gap)
    beyond = [cdist(fixed, moved + (shift + more) * direction).min() for more in (0.0, 0.1, 1.0, 30.0)]
    if np.isnan(shift):
        assert all(cdist(fixed, moved + s * direction).min() > gap for s in np.linspace(-10, 10, 41))
    else:
        assert beyond[0] == pytest.approx(gap)
        assert min(beyond[1:]) > gap


@given(seeds)
def test_gaps_are_those_between_nearest_atoms(seed: int) -> None:
    first, second = ase.build.molecule("CH3OH"), ase.build.molecule("H2O")
    gaps = (2.0, 4.5, 12.0)
    a, placed = moved_apart(first, second, gaps, np.random.default_rng(seed))
    assert [cdist(a.positions, b.positions).min() for b in placed] == pytest.approx(gaps)
    for molecule, before in ((a, first), (placed[1], second)):
        assert molecule.get_all_distances() == pytest.approx(before.get_all_distances())


@given(seeds, st.floats(0.8, 1.2))
def test_every_molecule_of_a_cluster_touches_another(seed: int, tightness: float) -> None:
    molecules = [ase.build.molecule(name) for name in ("H2O", "CH4", "NH3")]
    placed = cluster_of(molecules, tightness, np.random.default_rng(seed))
    for number in range(1, 3):
        before, there = joined(placed[:number]), placed[number]
        contact = tightness * (vdw_radii[before.numbers][:, None] + vdw_radii[there.numbers][None])
        assert (cdist(before.positions, there.positions) / contact).min() == pytest.approx(1.0)


def test_predictions_are_those_of_the_model_one_by_one() -> None:
    structures = [branched(), ase.build.molecule("H2O")]
    model = small_model(output={"unit": "kcal/mol", "has_forces": False})
    assert predictions(model, structures) == pytest.approx([model.predict(a).energy for a in structures])
    vector = small_model(readout={"kind": "dipole"}, output={"unit": "D", "property": "dipole", "has_forces": False})
    norms = [np.linalg.norm(vector.predict(a).value) for a in structures]
    assert predictions(vector, structures) == pytest.approx(norms)
    assert len(predictions(model, [])) == 0


def test_lone_molecules_are_single_known_and_in_the_open() -> None:
    water = ase.build.molecule("H2O")
    pair = joined([water, ase.Atoms(water.numbers, water.positions + 6.0)])
    structures = [water, pair, crowded_cell(), ase.build.molecule("SiH4")]
    assert lone_molecules(small_model(), structures[:3], range(3)) == [0]
    model = Potential(replace(small_model().config, elements=(1, 6, 7, 8, 9)))
    assert lone_molecules(model, structures, range(4)) == [0]
