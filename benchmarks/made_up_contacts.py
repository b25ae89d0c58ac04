"""Made-up dimers: curves whose order a model meets, misses, or meets by half; charges likewise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses import ContactsResult, Finding, Outcome
from atomlens.analyses.contacts.points import POINTS
from atomlens.analyses.contacts.question import CLAIMS, judge
from atomlens.analyses.contacts.scores import charge_score, charge_slope, rank_score
from made_up import A, C, D, World

FACTORS = np.array([0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0])
SEEDS, SOME = 5, 12


def contacts(
    share: float, charged: float, *, attraction: bool = False, n: int = 40
) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Judged dimers.

    Parameters
    ----------
    share
        How much of the variance along a curve the model has right; the rest is noise.
    charged
        How much of the variance of electrostatics, at each distance, is that of charge energies.
    attraction
        Whether the model knows nothing but that nearer is stronger.
    n
        Dimers.
    """

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        curve, step = np.repeat(np.arange(n), len(FACTORS)), np.tile(np.arange(len(FACTORS)), n)
        factor = FACTORS[step]
        decay = np.exp(-rng.uniform(2.0, 5.0, n)[curve] * (factor - 1))
        known = rng.uniform(0.05, 0.6, n)[curve] * (decay**2 - 2 * decay)
        static = -rng.uniform(0.1, 1.0, n)[curve] / factor
        columns = {
            "curve": curve,
            "factor": factor,
            "separation": 3.0 * factor,
            "charge_1": np.ones(len(curve), dtype=np.int64),
            "charge_2": np.zeros(len(curve), dtype=np.int64),
            "benchmark": known,
            "electrostatics": static,
            "charges": _mixed(static, step, charged, rng),
        }
        for name in ("pair_terms", "interaction"):
            columns[name] = -1.0 / factor if attraction else _mixed(known, curve, share, rng)
        points = _table(columns)
        some, fresh = points.filter(pl.col("curve") < SOME), []
        for _ in range(SEEDS):
            noise = {name: pl.Series(rng.normal(size=len(some))) for name in ("pair_terms", "interaction", "charges")}
            fresh.append(some.with_columns(**noise))
        seed = int(rng.integers(2**31))
        scores = {
            "terms": rank_score(points, "pair_terms", "benchmark", fresh, seed=seed),
            "energy": rank_score(points, "interaction", "benchmark", fresh, seed=seed),
            "charges": charge_score(points, fresh, seed=seed, n_resamples=200),
            "gfn2": rank_score(points, "pair_terms", "gfn2"),
        }
        medians = {name: rank_score(points, name, "benchmark") for name in ("group_term", "gfn2")}
        medians["interaction_gfn2"] = rank_score(points, "interaction", "gfn2")
        result = ContactsResult("energy", "eV", points, scores, medians, charge_slope(points), n, {}, 0, True)
        return {f"contacts/{key}": one for key, one in zip(CLAIMS, judge(result).findings, strict=True)}

    return make


def _mixed(values: np.ndarray, group: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Values with noise: `share` of the variance within each group is theirs."""
    n = np.bincount(group)
    deviation = np.sqrt(np.bincount(group, values**2) / n - (np.bincount(group, values) / n) ** 2)
    return math.sqrt(share) * values + math.sqrt(1 - share) * deviation[group] * rng.normal(size=len(values))


def _table(columns: dict[str, np.ndarray]) -> pl.DataFrame:
    n = len(columns["curve"])
    rest = {
        name: pl.Series(["made up" if kind == pl.String else None] * n, dtype=kind)
        for name, kind in POINTS.items()
        if name not in columns
    }
    return pl.DataFrame(columns | rest).select(*POINTS)


def _all(outcome: Outcome) -> dict[str, Outcome]:
    return {f"contacts/{key}": outcome for key in ("terms", "energy", "charges")}


WORLDS = [
    World("contacts right but for noise", _all(A), contacts(0.9, 0.97)),
    World("contacts of an attraction without a wall; charges by half", _all(D), contacts(0.0, 0.4, attraction=True)),
    World("contacts of noise", _all(D), contacts(0.0, 0.0)),
    World("contacts on the limit", _all(C), contacts(0.27, 0.79)),
    World("contacts of eight dimers", _all(C), contacts(0.9, 0.97, n=8)),
]
