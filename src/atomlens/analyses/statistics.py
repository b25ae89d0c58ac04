r"""Estimates with 95 % intervals over molecules, or whatever unit a claim is about.

Intervals are bias-corrected and accelerated bootstrap intervals (BCa; Efron, J. Am. Stat. Assoc. 82, 171, 1987; SciPy).
A bootstrap distribution is too narrow for n units by :math:`\sqrt{(n-1)/n}` and has normal instead of t tails; both are
put right by widening the nominal level (Hesterberg, Am. Stat. 69, 371, 2015, section 4.2):

.. math:: \alpha' / 2 = \Phi\Big(-\sqrt{\tfrac{n}{n-1}}\; t_{n-1,\,1-\alpha/2}\Big)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import DegenerateDataWarning, binom, binomtest, bootstrap, norm, t

from atomlens.analyses.verdict import Effect

# Fewer units than this have no interval: below, even BCa covers well under 90 %.
MIN_MOLECULES = 10
N_RESAMPLES = 500
# The acceleration needs one more estimate for each unit, and is nothing to speak of for more units than these.
_MAX_ACCELERATED = 300
_NEARLY = 0.99
# Molecules of all draws that are held at once.
_AT_ONCE = 2**21


def molecule_effect(
    name: str,
    statistic: Callable[[np.ndarray], float | np.ndarray],
    n_molecules: int,
    *,
    unit: str = "",
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    vectorized: bool = False,
) -> Effect:
    """A statistic with its 95 % BCa bootstrap interval over molecules, widened for few of them.

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
    vectorized
        Whether `statistic` takes many draws at once, (..., n), and gives one estimate for each, (...).

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
    batch = max(_AT_ONCE // n_molecules, 1)
    sample, settings = (everyone,), {"vectorized": True, "batch": batch, "rng": np.random.default_rng(seed)}

    def of_draws(drawn: Int[np.ndarray, "*draws n"], axis: int = -1) -> Float[np.ndarray, "*draws"]:
        # SciPy draws along the last axis. Its own loop over draws takes longer than most of our statistics.
        if vectorized:
            return np.asarray(statistic(drawn))
        rows = drawn.reshape(-1, drawn.shape[-1])
        return np.array([float(statistic(row)) for row in rows]).reshape(drawn.shape[:-1])

    with warnings.catch_warnings():
        # Draws without a number are counted below, and limits without one fall back on percentiles.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        warnings.filterwarnings("ignore", "invalid value|divide by zero", RuntimeWarning)
        found = bootstrap(sample, of_draws, n_resamples=n_resamples, method="percentile", **settings)
        finite = found.bootstrap_distribution[np.isfinite(found.bootstrap_distribution)]
        if len(finite) < 0.9 * n_resamples:
            return Effect(name, value, n=n_molecules, unit=unit)
        outside = _widened(n_molecules)
        low, high = np.quantile(finite, [outside, 1 - outside])
        if n_molecules <= _MAX_ACCELERATED and np.ptp(finite) > 0:
            known = replace(found, bootstrap_distribution=finite)
            settings |= {"n_resamples": 0, "bootstrap_result": known, "confidence_level": 1 - 2 * outside}
            limits = bootstrap(sample, of_draws, method="BCa", **settings).confidence_interval
            if math.isfinite(limits.low) and math.isfinite(limits.high):
                low, high = limits
    return Effect(name, value, float(low), float(high), n_molecules, unit)


def _widened(n: int) -> float:
    """Nominal share of draws beyond either limit, for n units (see the formula above)."""
    return float(norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))


def rank_effect(name: str, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Effect:
    r"""Spearman's rank correlation of n independent pairs of numbers, with its 95 % interval.

    .. math:: \tanh\Big(\operatorname{artanh} \rho \pm 1.96 \sqrt{\frac{1 + \rho^2 / 2}{n - 3}}\Big)

    of Bonett and Wright (Psychometrika 65, 23, 2000), for units so few that resampling makes ties of most of them.
    No interval below `MIN_MOLECULES` units.

    Examples
    --------
    >>> x = np.arange(11.0)
    >>> str(rank_effect("", x, np.array([0, 1, 2, 7, 4, 3, 10, 5, 8, 9, 6.0])))
    '0.745 [0.177, 0.941]'
    """
    value, n = rank_correlation(x, y), len(x)
    if n < MIN_MOLECULES or not math.isfinite(value):
        return Effect(name, value, n=n)
    # Perfect ranks of a few units do not show that all units rank perfectly.
    z = math.atanh(min(max(value, -_NEARLY), _NEARLY))
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (n - 3))
    return Effect(name, value, math.tanh(z - half), max(value, math.tanh(z + half)), n)


def share_effect(name: str, hits: Bool[np.ndarray, " n"]) -> Effect:
    """How often something happens among independent cases, with the exact 95 % interval of Clopper and Pearson (1934).

    Resampling would say that what never happened in ten cases never happens. No interval below `MIN_MOLECULES` cases.

    Examples
    --------
    >>> str(share_effect("share", np.zeros(10, dtype=bool)))
    '0 [0, 0.308]'
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


def median_effect(name: str, values: Float[np.ndarray, " n"]) -> Effect:
    r"""Median over n units with the exact 95 % interval between two of the sorted values.

    .. math:: [x_{(k)},\, x_{(n + 1 - k)}], \quad \text{the largest } k \text{ with }
        P(\mathrm{Bin}(n, 1/2) < k) \le 0.025

    (Thompson, Ann. Math. Stat. 7, 122, 1936): it needs no law of the values, where draws of a median take few values
    only. No interval below `MIN_MOLECULES` units.

    Examples
    --------
    >>> str(median_effect("median", np.arange(1.0, 21.0)))
    '10.5 [6, 15]'
    """
    n = len(values)
    if n < MIN_MOLECULES:
        return Effect(name, float(np.median(values)) if n else math.nan, n=n)
    inner, order = int(binom.ppf(0.025, n, 0.5)), np.sort(values)
    return Effect(name, float(np.median(values)), float(order[inner - 1]), float(order[n - inner]), n)


def pearson(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Pearson's correlation; NaN where one side does not vary or fewer than three points are left."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return _correlation(x, y)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation; NaN where one side does not vary or fewer than three points are left."""
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return _correlation(_ranks(x), _ranks(y))


def _correlation(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Pearson's correlation of what varies; `numpy.corrcoef` takes twice as long, which resampling feels."""
    x, y = x - x.mean(), y - y.mean()
    x, y = x / math.sqrt(x @ x), y / math.sqrt(y @ y)
    return min(max(float(x @ y), -1.0), 1.0)


def _ranks(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Ranks from 1, the mean of theirs for ties; `scipy.stats.rankdata` takes twice as long, which resampling feels."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


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
