"""Rank statistics of many draws at once: those of the drawn rows, one draw after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from atomlens.analyses import Rows, molecule_effect
from atomlens.analyses import rank_draws as many
from atomlens.analyses.species.pairs import concordance
from atomlens.analyses.statistics import rank_correlation

N = 15


def rows(digits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two columns with more ties the fewer digits there are, and the molecule of every row."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    return np.round(x, digits), np.round(x + rng.normal(size=120), digits), rng.integers(N - 1, size=120)


@pytest.fixture(params=[0, 1, 8], ids=lambda digits: f"{digits} digits")
def table(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows(request.param)


def draws() -> np.ndarray:
    """Draws of all molecules but one at random, of one molecule only, and of none that has a row."""
    drawn = np.random.default_rng(1).integers(N, size=(3, 40, N))
    drawn[0, 0], drawn[0, 1] = 2, N - 1
    return drawn


def one_by_one(statistic: Callable[[np.ndarray], float], molecule: np.ndarray) -> np.ndarray:
    of = Rows(molecule, N)
    return np.apply_along_axis(lambda drawn: statistic(of.of(drawn)), -1, draws())


@pytest.mark.parametrize("at_once", [2**21, 1000])
def test_rank_correlations(table, at_once, monkeypatch) -> None:
    monkeypatch.setattr(many, "_AT_ONCE", at_once)  # memory decides how many; the numbers are the same
    x, y, molecule = table
    x[3], y[4] = np.nan, np.inf
    found = many.rank_correlations(x, y, molecule, N)(draws())
    expected = one_by_one(lambda chosen: rank_correlation(x[chosen], y[chosen]), molecule)
    assert np.isnan(expected).sum() >= 1
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_concordances(table) -> None:
    x, y, molecule = table
    data = {"kind": (y > 0).astype(int), "level": np.arange(len(x)) % 3}
    comparisons = [(0, 2, 1), (1, 2, 0), (1, 1, 0)]
    sides = [tuple((data["kind"] == kind) & (data["level"] == one) for one in levels) for kind, *levels in comparisons]
    found = many.concordances(x, sides, molecule, N)(draws())
    expected = one_by_one(
        lambda chosen: concordance(
            {name: values[chosen] for name, values in data.items()}, x[chosen], lambda values: values, comparisons
        ),
        molecule,
    )
    assert np.isnan(expected).any()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_means(table) -> None:
    x, _, molecule = table
    expected = one_by_one(lambda chosen: x[chosen].mean() if len(chosen) else np.nan, molecule)
    np.testing.assert_allclose(many.means(x, molecule, N)(draws()), expected, rtol=1e-12, atol=1e-12)


def test_intervals_are_those_of_one_draw_after_another(table) -> None:
    x, y, molecule = table
    of = Rows(molecule, N)
    slow = molecule_effect("r", lambda drawn: rank_correlation(x[of.of(drawn)], y[of.of(drawn)]), N, n_resamples=200)
    fast = molecule_effect("r", many.rank_correlations(x, y, molecule, N), N, n_resamples=200, vectorized=True)
    for limit in ("value", "low", "high"):
        assert getattr(fast, limit) == pytest.approx(getattr(slow, limit), rel=1e-9)
