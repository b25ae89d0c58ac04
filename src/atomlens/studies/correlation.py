r"""Which number of a model goes with how long it lasts: rank correlations over the models of a study.

Spearman's :math:`\rho` of each predictor with the mean sound time; the partial one given the force error,

.. math:: \rho_{xy \cdot z} = \frac{\rho_{xy} - \rho_{xz} \rho_{yz}}{\sqrt{(1 - \rho_{xz}^2)(1 - \rho_{yz}^2)}},

both with 95 % bootstrap intervals, for which models that differ in their seed only are drawn together, as they are no
independent ones; and :math:`\rho` when one architecture is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from atomlens.analyses import Effect, Rows, molecule_effect, rank_correlation

SURVIVAL = "sound_time_ps"
GIVEN = "force_error"
# Number of the models that differ in their seed only.
ENSEMBLE = "ensemble"
PREDICTORS = ("deviation", "force_error", "energy_error", "exit_barrier", "smoothness", "roughness", "disagreement")


@dataclass(frozen=True)
class Association:
    """How one predictor goes with survival; negative where large values mean short lives.

    Attributes
    ----------
    predictor
        Name of its column.
    spearman, partial
        Rank correlation, and the one given the force error.
    left_out
        Rank correlation without each architecture, by its name.
    """

    predictor: str
    spearman: Effect
    partial: Effect
    left_out: dict[str, float]


def associations(table: pl.DataFrame, group: str = "model.architecture") -> list[Association]:
    """Associations of all predictors that the table has.

    Parameters
    ----------
    table
        One row per model: ``sound_time_ps``, predictors, and ``ensemble``; every model is one of its own without it.
    group
        Column of the architecture; nothing is left out if there is no such column.
    """
    found = []
    for name in PREDICTORS:
        if name not in table.columns or table[name].drop_nulls().len() == 0:
            continue
        rows = table.filter(pl.col(name).is_not_null() & pl.col(SURVIVAL).is_not_null())
        x, y = (rows[column].cast(pl.Float64).to_numpy() for column in (name, SURVIVAL))
        given = rows[GIVEN].cast(pl.Float64).to_numpy() if GIVEN in rows.columns else None
        rows_of, n_drawn = _ensembles(rows)
        spearman = molecule_effect(
            "Spearman correlation with the sound time",
            lambda d, x=x, y=y, of=rows_of: rank_correlation(x[of(d)], y[of(d)]),
            n_drawn,
        )
        if given is None or name == GIVEN:
            partial = Effect("the same, given the force error", math.nan)
        else:
            partial = molecule_effect(
                "the same, given the force error",
                lambda d, x=x, y=y, z=given, of=rows_of: partial_rank_correlation(x[of(d)], y[of(d)], z[of(d)]),
                n_drawn,
            )
        found.append(Association(name, spearman, partial, _left_out(rows, name, group)))
    return found


def _ensembles(rows: pl.DataFrame) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """From drawn ensembles to rows, and how many ensembles there are."""
    if ENSEMBLE not in rows.columns:
        return (lambda drawn: drawn), len(rows)
    numbers = np.unique(rows[ENSEMBLE].to_numpy(), return_inverse=True)[1]
    n = int(numbers.max()) + 1
    return Rows(numbers, n).of, n


def partial_rank_correlation(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """Rank correlation of x and y given z; NaN where z fixes either, or a side does not vary."""
    xy, xz, yz = rank_correlation(x, y), rank_correlation(x, z), rank_correlation(y, z)
    rest = (1 - xz**2) * (1 - yz**2)
    if not math.isfinite(rest) or rest < 1e-12:
        return math.nan
    return (xy - xz * yz) / math.sqrt(rest)


def _left_out(rows: pl.DataFrame, name: str, group: str) -> dict[str, float]:
    if group not in rows.columns:
        return {}
    result = {}
    for value in sorted(rows[group].unique().to_list()):
        rest = rows.filter(pl.col(group) != value)
        x, y = (rest[column].cast(pl.Float64).to_numpy() for column in (name, SURVIVAL))
        result[str(value)] = rank_correlation(x, y)
    return result
