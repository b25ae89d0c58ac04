"""Scores of the interactions of two molecules: ranks along curves, and energies of charges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from scipy.stats import rankdata

from atomlens.analyses.moments import Moments
from atomlens.analyses.pair_scores import SHUFFLES, Score, no_score, shuffled_within
from atomlens.analyses.statistics import median_effect, molecule_effect, pearson
from atomlens.analyses.verdict import Control, control_of

# Charge energies are compared with electrostatics from here on, in units of the distance at equilibrium: nearer,
# charge clouds overlap, which no charges of points or Gaussians describe.
FAR = 1.5
_TERMS = ("pair_terms", "group_term")
_FEWEST = 5  # points of a curve whose order says something


def curve_ranks(points: pl.DataFrame, source: str, reference: str) -> Float[np.ndarray, " c"]:
    """Rank correlation of two columns along every curve, in the order of the curves.

    Zero where the source does not vary along the curve: it orders nothing. Curves are left out of which the reference
    is not known, or has fewer than five points.
    """
    rows = points.filter(pl.col(reference).is_not_null(), pl.col(source).is_not_null())
    return _ranks(rows[source].to_numpy(), rows[reference].to_numpy(), rows["curve"].to_numpy())


def _ranks(
    own: Float[np.ndarray, " n"], known: Float[np.ndarray, " n"], curve: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " c"]:
    # Curves of one length are ranked together: shuffled ones are asked about hundreds of times.
    owner, counts = np.unique(curve, return_inverse=True, return_counts=True)[1:]
    found = np.full(len(counts), math.nan)
    order = np.argsort(owner, kind="stable")
    starts = np.cumsum(counts) - counts
    for length in np.unique(counts[counts >= _FEWEST]).tolist():
        rows = order[starts[counts == length][:, None] + np.arange(length)]
        x, y = (rankdata(values[rows], axis=1) for values in (own, known))
        x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
        size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        ranks = np.divide((x * y).sum(axis=1), size, out=np.zeros(len(rows)), where=size > 0)
        found[counts == length] = np.where(np.ptp(known[rows], axis=1) > 0, ranks, math.nan)
    return found[np.isfinite(found)]


def rank_score(
    points: pl.DataFrame, source: str, reference: str, untrained: Sequence[pl.DataFrame] = (), *, seed: int = 0
) -> Score:
    """Median over curves of the rank correlation along a curve.

    Parameters
    ----------
    points
        `dimer_points`.
    source, reference
        Columns to compare.
    untrained
        Points of several untrained models, on some of the curves.
    seed
        Of shuffles.
    """
    known = {"benchmark": "CCSD(T)", "gfn2": "GFN2"}[reference]
    name = f"median rank correlation with {known} along a curve"
    rows = points.filter(pl.col(reference).is_not_null())
    ranks = curve_ranks(rows, source, reference)
    if not len(ranks):
        return no_score(name, f"no curve with five interaction energies by {known}")
    own, energies = rows[source].to_numpy(), rows[reference].to_numpy()
    curve, factor = rows["curve"].to_numpy(), rows["factor"].to_numpy()
    rng = np.random.default_rng(seed)
    shuffled = [_median(_ranks(shuffled_within(own, curve, rng), energies, curve)) for _ in range(SHUFFLES)]
    fresh = [_median(curve_ranks(table, source, "benchmark")) for table in untrained]
    controls = [
        control_of(f"{'terms' if source in _TERMS else 'energies'} shuffled along each curve", shuffled),
        # An attraction that only falls with distance knows of no wall and of no place where it is strongest.
        Control("distance alone", _median(_ranks(-1.0 / factor, energies, curve))),
    ]
    if fresh:
        controls.insert(1, control_of("untrained model", fresh))
    return Score(median_effect(name, ranks), tuple(controls))


def charge_score(
    points: pl.DataFrame, untrained: Sequence[pl.DataFrame] = (), *, seed: int = 0, n_resamples: int = 500
) -> Score:
    """Correlation of charge energies with DFT-SAPT electrostatics beyond 1.5 equilibrium distances, of ionic curves."""
    name = "correlation of charge energies with DFT-SAPT electrostatics"
    rows = far_ionic(points)
    if points["charges"].null_count() == len(points):
        return no_score(name, "the model has no learned charges", inapplicable=True)
    if not len(rows):
        return no_score(name, "no ionic dimer with electrostatics by DFT-SAPT, from 1.5 equilibrium distances on")
    own, known, away = (rows[key].to_numpy() for key in ("charges", "electrostatics", "separation"))
    curve = np.unique(rows["curve"].to_numpy(), return_inverse=True)[1]
    n = int(curve.max()) + 1
    of_draws = Moments(own, known, curve, n).correlation
    effect = molecule_effect(name, of_draws, n, seed=seed, n_resamples=n_resamples, vectorized=True)
    # To the last digit that of a control with the same values.
    effect = replace(effect, value=pearson(own, known))
    rng = np.random.default_rng(seed)
    others = [far_ionic(table) for table in untrained]
    controls = (
        control_of("energies of other dimers", [pearson(rng.permutation(own), known) for _ in range(SHUFFLES)]),
        control_of(
            "untrained model", [pearson(t["charges"].to_numpy(), t["electrostatics"].to_numpy()) for t in others]
        ),
        Control("distance alone", pearson(-1.0 / away, known)),
    )
    return Score(effect, controls)


def charge_slope(points: pl.DataFrame) -> float:
    """Least-squares slope, through the origin, of electrostatics against charge energies; NaN without such."""
    rows = far_ionic(points)
    own, known = rows["charges"].to_numpy(), rows["electrostatics"].to_numpy()
    return float(own @ known / (own @ own)) if len(rows) and own.any() else math.nan


def far_ionic(points: pl.DataFrame) -> pl.DataFrame:
    """Points of dimers with an ion, from 1.5 equilibrium distances on, of which both energies are known."""
    return points.filter(
        (pl.col("charge_1") != 0) | (pl.col("charge_2") != 0),
        pl.col("factor") >= FAR,
        pl.col("charges").is_not_null(),
        pl.col("electrostatics").is_not_null(),
    )


def _median(values: Float[np.ndarray, " c"]) -> float:
    return float(np.median(values)) if len(values) else math.nan
