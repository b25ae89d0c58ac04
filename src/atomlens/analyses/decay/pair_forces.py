r"""How pair forces go with distance: described, not judged.

.. math:: \mathbf F_{ij} = -\partial E_j / \partial \mathbf R_i

arXiv:2605.28960 reports that their mean falls as a power of distance, while their scatter and their angle off the line
between the atoms do not fall. Bins are 1 Å wide.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.pair_scores import Score, is_energy, no_score
from atomlens.analyses.statistics import N_RESAMPLES, molecule_effect
from atomlens.analyses.verdict import Control
from atomlens.structures import InputError
from atomlens.surveys import Progress, evenly_spread, no_progress

NAME = "power of the mean pair force"
# Lowest distance in Å of the power: nearer, bonds hold pairs at their distance.
_NEAREST, _BIN = 2.0, 1.0
_KEYS = {"frame": pl.Int32, "atom": pl.Int32, "of": pl.Int32}
_VALUES = ("distance", "fx", "fy", "fz", "size", "along", "angle")
SCHEMA = _KEYS | dict.fromkeys(_VALUES, pl.Float64)


def pair_force_rows(
    inputs: AnalysisInputs, n_structures: int, progress: Progress = no_progress
) -> tuple[pl.DataFrame, str]:
    """Pair forces of some structures, evenly spread, with their ``frame``; and why there are none."""
    if not is_energy(inputs):
        return pl.DataFrame(schema=SCHEMA), f"pair forces need an energy, and the model predicts {inputs.property}"
    chosen = evenly_spread(len(inputs.structures), n_structures)
    parts, reason = [pl.DataFrame(schema=SCHEMA)], "no structure has two atoms"
    for done, frame in enumerate(chosen):
        progress("pair forces", done, len(chosen))
        try:
            found = inputs.explained(inputs.structures[frame]).pair_forces().table()
        except InputError as error:
            reason = str(error)
            continue
        parts.append(found.select(pl.lit(frame, dtype=pl.Int32).alias("frame"), *list(SCHEMA)[1:]))
    progress("pair forces", len(chosen), len(chosen))
    table = pl.concat(parts)
    return table, "" if len(table) else reason


def force_bins(table: pl.DataFrame) -> pl.DataFrame:
    """One row per bin of 1 Å of the pairs with a force.

    Columns ``pairs``, ``distance`` (mean, Å), ``mean`` and ``median`` (eV/Å), ``scatter`` (interquartile range in
    powers of ten) and ``angle`` (median, degrees off the line).
    """
    decades = pl.col("size").log10()
    return (
        table.filter(pl.col("size") > 0)
        .group_by((pl.col("distance") / _BIN).floor().cast(pl.Int64).alias("bin"))
        .agg(
            pl.len().alias("pairs"),
            pl.col("distance").mean(),
            pl.col("size").mean().alias("mean"),
            pl.col("size").median().alias("median"),
            (decades.quantile(0.75, "linear") - decades.quantile(0.25, "linear")).alias("scatter"),
            pl.col("angle").median(),
        )
        .sort("bin")
    )


def force_score(
    table: pl.DataFrame, reason: str, high: float, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Score:
    """Power of the mean pair force over bins from 2 Å to `high`, with its interval over structures.

    Distances and forces of a bin are geometric means: those of a power law lie on it, which arithmetic ones do not.
    """
    if reason:
        return no_score(NAME, reason, inapplicable="need an energy" in reason)
    inside = table.filter(pl.col("distance").is_between(_NEAREST, high, closed="left") & (pl.col("size") > 0))
    frames = inside["frame"].unique().sort()
    place = np.searchsorted(frames.to_numpy(), inside["frame"].to_numpy())
    bins = np.floor((inside["distance"].to_numpy() - _NEAREST) / _BIN).astype(np.int64)
    n, width = len(frames), int(bins.max()) + 1 if len(bins) else 0
    # Sums by structure and bin: a drawn mean is a ratio of drawn sums.
    sums = (
        {
            name: np.bincount(place * width + bins, weights=values, minlength=n * width).reshape(n, width)
            for name, values in (
                ("count", np.ones(len(bins))),
                ("distance", np.log(inside["distance"].to_numpy())),
                ("size", np.log(inside["size"].to_numpy())),
            )
        }
        if width
        else {}
    )

    def power(drawn: np.ndarray) -> float:
        if width < 2:
            return math.nan
        count, distance, size = (sums[name][drawn].sum(axis=0) for name in ("count", "distance", "size"))
        there = count > 0
        if there.sum() < 2:
            return math.nan
        return float(np.polyfit(distance[there] / count[there], size[there] / count[there], 1)[0])

    effect = molecule_effect(NAME, power, n, seed=seed, n_resamples=n_resamples)
    if not math.isfinite(effect.value):
        return Score(effect, missing=f"pairs from {_NEAREST:g} to {high:.3g} Å fill fewer than two bins of 1 Å")
    found = force_bins(inside)
    controls = (
        Control("scatter per 1 Å bin, powers of ten", float(found["scatter"].mean()), is_null=False),  # pyright: ignore[reportArgumentType]
        Control("angle off the line, degrees", float(inside["angle"].median()), is_null=False),  # pyright: ignore[reportArgumentType]
    )
    return Score(effect, controls)
