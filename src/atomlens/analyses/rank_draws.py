r"""Rank statistics of many draws of molecules at once: rows are sorted once, and a draw only counts them otherwise.

With :math:`w_i`, how often a draw has row i, and :math:`C(v) = \sum_{x_i < v} w_i`, the mean rank of a value v is

.. math:: R(v) = \tfrac12 \big(C(v) + C(v^+) + 1\big), \qquad C(v^+) = \sum_{x_i \le v} w_i

Spearman's correlation is Pearson's of these ranks. The probability of the Mann-Whitney test, that one of a random row
of each of two groups is the larger, is the mean of :math:`\tfrac12 (C(v) + C(v^+))` over the values v of the one group,
with C of the other, over the number of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from atomlens.analyses.moments import times_drawn

# From numbers of drawn molecules, (..., m), to one number for each draw, (...).
OfDraws = Callable[[Int[np.ndarray, "*draws m"]], Float[np.ndarray, "*draws"]]

# Rows of all draws that are looked at at once.
_AT_ONCE = 2**18


def means(values: np.ndarray, molecule: Int[np.ndarray, " rows"], n_molecules: int) -> OfDraws:
    """Mean over the drawn rows; NaN for a draw without any.

    Examples
    --------
    >>> means(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]), 2)(np.array([[0, 1], [1, 1]])).tolist()
    [3.0, 6.0]
    """
    sums, counts = np.bincount(molecule, values, n_molecules), np.bincount(molecule, minlength=n_molecules)

    def of_draws(drawn: Int[np.ndarray, "*draws m"]) -> Float[np.ndarray, "*draws"]:
        times = times_drawn(drawn, n_molecules)
        rows = np.asarray(times @ counts)
        return np.divide(times @ sums, rows, out=np.full(rows.shape, np.nan), where=rows > 0)

    return of_draws


def rank_correlations(x: np.ndarray, y: np.ndarray, molecule: Int[np.ndarray, " rows"], n_molecules: int) -> OfDraws:
    """`statistics.rank_correlation` of the drawn rows.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    >>> of_draws = rank_correlations(x, y, np.arange(4), 4)
    >>> np.round(of_draws(np.array([[0, 1, 2, 3], [3, 0, 1, 0], [0, 0, 3, 0]])), 6).tolist()
    [0.8, 1.0, 1.0]
    """
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    kept = kept[np.argsort(x[kept])]  # neighbours in x are neighbours in memory
    molecule = molecule[kept]
    sorted_x, sorted_y = (_Sorted(values[kept]) for values in (x, y))

    def of_rows(times: Float[np.ndarray, "D n"]) -> Float[np.ndarray, " D"]:
        weights = np.take(times, molecule, axis=1)
        n = weights.sum(axis=1)
        ranks = [one.twice_below(weights, one.values) - n[:, None] for one in (sorted_x, sorted_y)]
        xx, yy, xy = (np.einsum("dr,dr,dr->d", weights, a, b) for a, b in (ranks[:1] * 2, ranks[1:] * 2, ranks))
        usable = (n >= 3) & (xx > 0) & (yy > 0)
        found = np.divide(xy, np.sqrt(xx * yy), out=np.full(len(n), np.nan), where=usable)
        return np.clip(found, -1.0, 1.0)

    return _in_parts(of_rows, n_molecules, len(molecule))


def concordances(
    values: np.ndarray,
    pairs: Sequence[tuple[Bool[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]],
    molecule: Int[np.ndarray, " rows"],
    n_molecules: int,
) -> OfDraws:
    """How often a random row of the first group is above one of the second, mean over pairs of groups; ties are halves.

    Pairs with an empty group are left out; NaN for a draw that leaves out all of them.

    Examples
    --------
    >>> high = np.array([True, True, False, False])
    >>> of_draws = concordances(np.array([2.0, 5.0, 1.0, 3.0]), [(high, ~high)], np.array([0, 1, 0, 1]), 2)
    >>> of_draws(np.array([[0, 1], [0, 0]])).tolist()
    [0.75, 1.0]
    """
    groups = [(values[high], molecule[high], _Sorted(values[low]), molecule[low]) for high, low in pairs]

    def of_rows(times: Float[np.ndarray, "D n"]) -> Float[np.ndarray, " D"]:
        total, parts = np.zeros(len(times)), np.zeros(len(times))
        for above, of_above, below, of_below in groups:
            high, low = times[:, of_above], times[:, of_below]
            n = high.sum(axis=1) * low.sum(axis=1)
            wins = np.einsum("dr,dr->d", high, below.twice_below(low, above))
            total += np.divide(wins, 2 * n, out=np.zeros(len(n)), where=n > 0)
            parts += n > 0
        return np.divide(total, parts, out=np.full(len(total), np.nan), where=parts > 0)

    return _in_parts(of_rows, n_molecules, len(values))


class _Sorted:
    """Values in order, to sum the weights of those below others."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self._order = np.argsort(values, kind="stable")

    def twice_below(self, weights: Float[np.ndarray, "D n"], at: np.ndarray) -> Float[np.ndarray, "D m"]:
        """Weight of values below each of `at`, plus that of values below or equal."""
        summed = np.zeros((len(weights), len(self.values) + 1))
        np.cumsum(np.take(weights, self._order, axis=1), axis=1, out=summed[:, 1:])
        ordered = self.values[self._order]
        below, upto = (np.searchsorted(ordered, at, side) for side in ("left", "right"))
        return np.take(summed, below, axis=1) + np.take(summed, upto, axis=1)


def _in_parts(of_rows: Callable[[np.ndarray], np.ndarray], n_molecules: int, n_rows: int) -> OfDraws:
    """A statistic of how often every molecule is drawn, computed for so many draws at a time as memory allows."""

    def of_draws(drawn: Int[np.ndarray, "*draws m"]) -> Float[np.ndarray, "*draws"]:
        times = times_drawn(drawn.reshape(-1, drawn.shape[-1]), n_molecules)
        step = max(_AT_ONCE // max(n_rows, 1), 1)
        found = [of_rows(times[start : start + step]) for start in range(0, len(times), step)]
        return np.concatenate(found).reshape(drawn.shape[:-1])

    return of_draws
