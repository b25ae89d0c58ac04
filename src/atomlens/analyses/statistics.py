"""Estimates with bootstrap intervals over molecules."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int
from scipy.stats import DegenerateDataWarning, binomtest, bootstrap, spearmanr

from atomlens.analyses.verdict import Effect

# Fewer molecules than this say nothing about others like them.
MIN_MOLECULES = 5


def molecule_effect(
    name: str,
    statistic: Callable[[Int[np.ndarray, " n"]], float],
    n_molecules: int,
    *,
    unit: str = "",
    seed: int = 0,
    n_resamples: int = 400,
) -> Effect:
    """A statistic with its 95 % percentile bootstrap interval over molecules (Efron and Tibshirani 1993, chapter 13).

    Whole molecules are drawn with replacement, never single terms: terms of one molecule are not independent.

    Parameters
    ----------
    name, unit
        What is measured.
    statistic
        From the numbers of the drawn molecules (with repeats) to the estimate; NaN where a draw allows none.
    n_molecules
        How many there are.
    seed, n_resamples
        Of the bootstrap.

    Returns
    -------
    Effect
        Without interval below `MIN_MOLECULES` molecules, or where over a tenth of the draws give no number.

    Examples
    --------
    >>> values = np.arange(100.0)
    >>> e = molecule_effect("mean", lambda drawn: values[drawn].mean(), 100)
    >>> e.low < e.value < e.high
    True
    """
    everyone = np.arange(n_molecules)
    value = float(statistic(everyone)) if n_molecules else math.nan
    if n_molecules < MIN_MOLECULES or not math.isfinite(value):
        return Effect(name, value, n=n_molecules, unit=unit)
    with warnings.catch_warnings():
        # Draws without a number are counted below.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        drawn = bootstrap(
            (everyone,),
            lambda sample: float(statistic(sample)),
            n_resamples=n_resamples,
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < 0.9 * n_resamples:
        return Effect(name, value, n=n_molecules, unit=unit)
    low, high = np.percentile(finite, [2.5, 97.5])
    return Effect(name, value, float(low), float(high), n_molecules, unit)


def share_effect(name: str, hits: Bool[np.ndarray, " n"]) -> Effect:
    """How often something happens among independent cases, with the exact 95 % interval of Clopper and Pearson (1934).

    Resampling would say that what never happened in five cases never happens. No interval below `MIN_MOLECULES` cases.

    Examples
    --------
    >>> str(share_effect("share", np.zeros(5, dtype=bool)))
    '0 [0, 0.522]'
    """
    n = len(hits)
    if n < MIN_MOLECULES:
        return Effect(name, float(hits.mean()) if n else math.nan, n=n)
    limits = binomtest(int(hits.sum()), n).proportion_ci(method="exact")
    return Effect(name, float(hits.mean()), float(limits.low), float(limits.high), n)


def share_with_limits(effect: Effect) -> Effect:
    """A share over molecules whose draws are all 0, or all 1, with the limits of `share_effect` for as many cases."""
    if not effect.has_interval or effect.low != effect.high or effect.value not in (0.0, 1.0):
        return effect
    exact = share_effect(effect.name, np.full(effect.n, effect.value == 1.0))
    return replace(effect, low=exact.low, high=exact.high)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation; NaN where one side does not vary or fewer than three points are left."""
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(spearmanr(x, y)[0])  # pyright: ignore[reportArgumentType]


class Rows:
    """Rows of a table grouped by molecule, so that a draw of molecules becomes a draw of rows.

    Parameters
    ----------
    molecule
        Number of the molecule of every row; any integers.
    n_molecules
        How many molecules there are; molecules without a row count as drawn, too.
    """

    def __init__(self, molecule: Int[np.ndarray, " M"], n_molecules: int) -> None:
        self._order = np.argsort(molecule, kind="stable")
        self._counts = np.bincount(molecule, minlength=n_molecules)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])

    def of(self, drawn: Int[np.ndarray, " n"]) -> Int[np.ndarray, " rows"]:
        """Row numbers of the drawn molecules, repeats included."""
        counts = self._counts[drawn]
        shift = self._starts[drawn] - (np.cumsum(counts) - counts)
        return self._order[np.repeat(shift, counts) + np.arange(counts.sum())]
