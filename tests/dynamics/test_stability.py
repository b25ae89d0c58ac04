"""Stability criteria, survival curves, drift and distance distributions."""

from __future__ import annotations

import math

import ase.build
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from atomlens import InputError
from atomlens.dynamics.lifetimes import kaplan_meier
from atomlens.dynamics.observables import energy_drift
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.stability import Criteria, FrameCheck, bond_reference, check_frames, lost_hydrogens

ETHANOL = ase.build.molecule("CH3CH2OH")
BONDS = bond_reference(ETHANOL)


def checked(positions: np.ndarray, temperature: float = 300.0, earlier: float = 300.0) -> FrameCheck:
    n = len(positions)
    return check_frames(positions, np.full(n, temperature), np.full(n, earlier), ETHANOL.numbers, BONDS, Criteria())


def stretched(pair: int, by: float) -> np.ndarray:
    """Ethanol with one bond longer; its second atom is moved alone."""
    i, j = BONDS.pairs[pair]
    positions = ETHANOL.positions.copy()
    axis = positions[j] - positions[i]
    positions[j] += by * axis / np.linalg.norm(axis)
    return positions


def test_starting_structure_is_sound() -> None:
    check = checked(ETHANOL.positions[None])
    assert not check.failed.any()
    assert not check.hydrogen_lost.any()


def test_a_bond_breaks_beyond_half_an_angstrom_either_way() -> None:
    hydrogen = next(k for k, (i, j) in enumerate(BONDS.pairs) if ETHANOL.numbers[j] == 1 or ETHANOL.numbers[i] == 1)
    frames = np.stack([stretched(hydrogen, by) for by in (0.45, 0.55, -0.55)])
    check = checked(frames)
    assert check.broken.tolist() == [False, True, True]
    assert check.worst_bond[1] == hydrogen


def test_explosions() -> None:
    positions = np.repeat(ETHANOL.positions[None], 3, axis=0)
    assert checked(positions, temperature=10_301.0, earlier=10_000.0).exploded.all()
    assert not checked(positions, temperature=10_299.0, earlier=10_000.0).exploded.any()
    assert checked(positions, temperature=5001.0, earlier=50.0).exploded.all()
    positions[1, 0, 0] = np.nan
    assert checked(positions).exploded.tolist() == [False, True, False]


def test_hydrogen_is_lost_beyond_every_heavy_atom() -> None:
    positions = np.repeat(ETHANOL.positions[None], 2, axis=0)
    hydrogen = int(np.flatnonzero(ETHANOL.numbers == 1)[0])
    positions[1, hydrogen] += 20.0
    lost = lost_hydrogens(positions, ETHANOL.numbers, 2.5)
    assert lost.sum() == 1
    assert lost[1, hydrogen]
    assert not lost_hydrogens(ase.build.molecule("H2").positions[None] * 9, np.array([1, 1]), 2.5).any()


def test_reference_lengths_are_means_of_the_trajectory() -> None:
    longer = ETHANOL.copy()
    longer.positions *= 1.1
    reference = bond_reference(ETHANOL, [ETHANOL, longer])
    np.testing.assert_allclose(reference.lengths, 1.05 * BONDS.lengths)


def test_reference_of_another_molecule_is_refused() -> None:
    with pytest.raises(InputError, match="same molecule"):
        bond_reference(ETHANOL, [ase.build.molecule("H2O")])


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=20),
)
def test_survival_agrees_with_the_product_over_events(fates: list[tuple[int, bool]]) -> None:
    times = np.array([float(t) for t, _ in fates])
    broke = np.array([b for _, b in fates])
    curve = kaplan_meier(times, broke)
    for time, alive in zip(curve.times[1:], curve.alive[1:], strict=True):
        expected = 1.0
        for event in np.unique(times[broke & (times <= time)]):
            expected *= 1 - (broke & (times == event)).sum() / (times >= event).sum()
        assert alive == pytest.approx(expected, abs=1e-12)
    assert (np.diff(curve.alive) <= 0).all()
    assert (curve.low <= curve.alive + 1e-12).all()
    assert (curve.alive <= curve.high + 1e-12).all()
    assert (curve.low < curve.high).all()


@pytest.mark.parametrize("n", [1, 2, 16, 30])
def test_limits_where_none_or_all_broke_are_those_of_a_binomial_share(n: int) -> None:
    times = np.arange(1.0, n + 1)
    none = kaplan_meier(times, np.zeros(n, dtype=bool))
    exact = binomtest(n, n).proportion_ci(0.95, method="exact")
    assert none.alive.tolist() == none.high.tolist() == [1.0]
    assert none.low[0] == pytest.approx(exact.low)
    assert math.isinf(none.median_time)
    gone = kaplan_meier(times, np.ones(n, dtype=bool))
    assert (gone.alive[-1], gone.low[-1]) == (0.0, 0.0)
    assert gone.high[-1] == pytest.approx(binomtest(0, n).proportion_ci(0.95, method="exact").high)
    assert gone.low[0] == pytest.approx(exact.low)


def test_survival_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        kaplan_meier(np.zeros(0), np.zeros(0, dtype=bool))


def test_drift_is_the_slope_per_atom() -> None:
    times = np.linspace(0, 2, 50)
    assert energy_drift(times, -5 + 0.018 * times, 9) == pytest.approx(2.0)
    assert math.isnan(energy_drift(times[:2], times[:2], 9))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ensemble": "npt"}, "not known"),
        ({"temperature": 0.0}, "temperature 0 K"),
        ({"temperature": float("nan")}, "temperature nan K"),
        ({"temperature": 1e5}, "up to 5000 K"),
        ({"timestep": 50.0}, "time step 50 fs"),
        ({"friction": -1.0}, "friction"),
        ({"n_replicas": 0}, "n_replicas 0"),
        ({"n_steps": 5, "interval": 10}, "nothing would be recorded"),
        ({"n_steps": 2000, "interval": 1800}, "the last 200 would not be recorded; give a multiple, such as 3600"),
    ],
)
def test_bad_options_are_told(wrong: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        MDOptions(**wrong)


@pytest.mark.parametrize(
    ("time", "timestep", "interval", "n_steps"),
    [
        (10.0, 0.5, 20, 20_000),
        (0.2, 0.5, 10, 400),
        (0.3, 0.1, 1, 3000),  # 0.3 and 0.1 are not exact in binary
        (1.0, 0.5, 1800, 3600),  # two frames of 0.9 ps
        (1.0, 0.3, 20, 3340),
    ],
)
def test_a_time_is_simulated_to_its_end(time: float, timestep: float, interval: int, n_steps: int) -> None:
    options = MDOptions.lasting(time, timestep=timestep, interval=interval)
    assert options.n_steps == n_steps
    lasts = 1e-3 * options.n_frames * interval * timestep
    assert time - 1e-9 <= lasts < time + 1e-3 * interval * timestep


def test_a_time_shorter_than_a_frame_is_refused() -> None:
    with pytest.raises(InputError, match="nothing would be recorded"):
        MDOptions.lasting(0.001, timestep=0.5)
