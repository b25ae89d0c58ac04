"""Slopes and correlations of draws from sums by molecule: those of the drawn rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from atomlens.analyses import Rows, molecule_effect
from atomlens.analyses.decay.laws import decay_of, exponent, exponent_difference, exponent_effect
from atomlens.analyses.moments import Moments
from atomlens.analyses.statistics import pearson

N = 25


def rows(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(2.0, 6.0, n)
    return x, 1e-6 * (30.0 - 4.0 * x + rng.normal(size=n)), rng.integers(N, size=n), rng.integers(4, size=n)


def test_slopes_and_correlations_are_those_of_the_drawn_rows() -> None:
    x, y, molecule, group = rows(0)
    drawn = np.random.default_rng(1).integers(N, size=(3, 5, N))
    of = Rows(molecule, N)
    slopes = Moments(x, y, molecule, N, group).slope(drawn)
    correlations = Moments(x, y, molecule, N).correlation(drawn)
    assert slopes.shape == correlations.shape == (3, 5)
    for place in np.ndindex(3, 5):
        chosen = of.of(drawn[place])
        # One slope beside a constant for each group: least squares on the whole table.
        table = np.column_stack([x[chosen], *(group[chosen] == k for k in range(4))])
        assert slopes[place] == pytest.approx(np.linalg.lstsq(table, y[chosen], rcond=None)[0][0], rel=1e-9)
        assert correlations[place] == pytest.approx(np.corrcoef(x[chosen], y[chosen])[0, 1], rel=1e-9)


def test_draws_that_allow_no_number_have_none() -> None:
    x, y = np.array([1.0, 1.0, 2.0, 3.0]), np.array([5.0, 6.0, 6.0, 6.0])
    moments = Moments(x, y, np.array([0, 0, 1, 2]), 4)
    draws = np.array([[0, 0, 0, 0], [1, 2, 2, 1], [3, 3, 3, 3], [0, 1, 2, 3]])
    assert np.isnan(moments.slope(draws)).tolist() == [True, False, True, False]
    assert np.isnan(moments.correlation(draws)).tolist() == [True, True, True, False]
    assert np.isnan(moments.slope(draws, at_least=5)).all()


def test_two_rows_beside_a_group_of_one_have_a_slope_and_no_correlation() -> None:
    x, y, group = np.array([1.0, 2.0, 7.0, 4.0]), np.array([3.0, 5.0, 0.0, 1.0]), np.array([0, 0, 1, 0])
    moments = Moments(x, y, np.arange(4), 4, group)
    draws = np.array([[0, 1, 2], [0, 1, 3]])
    assert moments.slope(draws)[0] == pytest.approx(2.0)
    assert np.isnan(moments.correlation(draws)).tolist() == [True, False]
    assert moments.correlation(draws)[1] == pytest.approx(np.corrcoef(x[[0, 1, 3]], y[[0, 1, 3]])[0, 1])


@pytest.mark.parametrize("n_resamples", [50, 200])
def test_intervals_do_not_depend_on_how_many_draws_are_done_at_once(n_resamples: int) -> None:
    x, y, molecule, _ = rows(2)
    of = Rows(molecule, N)
    one = molecule_effect(
        "r", lambda drawn: pearson(x[of.of(drawn)], y[of.of(drawn)]), N, seed=3, n_resamples=n_resamples
    )
    all_at_once = molecule_effect(
        "r", Moments(x, y, molecule, N).correlation, N, seed=3, n_resamples=n_resamples, vectorized=True
    )
    for limit in ("value", "low", "high"):
        assert getattr(all_at_once, limit) == pytest.approx(getattr(one, limit), rel=1e-9)


def test_intervals_of_exponents_are_those_of_drawn_decays() -> None:
    parts = [decay_of(x, np.exp(1e6 * y), group, molecule) for x, y, molecule, group in (rows(4), rows(5))]
    of = [Rows(decay.molecule, N) for decay in parts]

    def own(k: int, drawn: np.ndarray) -> float:
        return exponent(parts[k].rows(of[k].of(drawn)))

    for found, statistic in (
        (exponent_effect("n", parts[0], seed=1, n_resamples=60), lambda drawn: own(0, drawn)),
        (exponent_difference("n", *parts, seed=1, n_resamples=60), lambda drawn: own(0, drawn) - own(1, drawn)),
    ):
        expected = molecule_effect("n", statistic, N, seed=1, n_resamples=60)
        for limit in ("value", "low", "high"):
            assert getattr(found, limit) == pytest.approx(getattr(expected, limit), rel=1e-9)
