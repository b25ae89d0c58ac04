"""Made-up rings of three molecules: three-body energies that a model meets, misses, or knows from the mixture alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses import Finding, Outcome, ThreeBodiesResult
from atomlens.analyses.three_bodies.points import POINTS
from atomlens.analyses.three_bodies.question import CLAIMS, judge
from atomlens.analyses.three_bodies.trimers import SIZES
from made_up import A, C, D, World

MIXTURES, SEEDS, SOME = 4, 10, 12
# Rank correlation 0.5 of normal variables, as a share of variance: Pearson's is 2 sin(π ρ / 6).
HALF = (2 * math.sin(math.pi / 12)) ** 2


def three_bodies(
    share: float, ratio: float, *, mixture: float = 0.0, n: int = 40
) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Judged rings.

    Parameters
    ----------
    share
        How much of the variance among rings the model has right; the rest is noise.
    ratio
        Size of the model's three-body energies over that of the reference.
    mixture
        How far mixtures lie apart, in standard deviations of the rings of one of them; the model knows it.
    n
        Rings.
    """

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        kind = np.arange(n) % MIXTURES
        common = mixture * (kind - kind.mean())
        ring, falls = rng.normal(size=n), np.exp(-12.0 * (np.array(SIZES) - SIZES[0]))
        # What a model has wrong about a ring it has wrong at every size, but for a part.
        miss = [math.sqrt(0.8) * rng.normal(size=(n, 1)) + math.sqrt(0.2) * rng.normal(size=(n, 3)) for _ in range(2)]
        known = 0.015 * (common + ring)[:, None] * falls
        own = [
            ratio * 0.015 * (common[:, None] + math.sqrt(share) * ring[:, None] + math.sqrt(1 - share) * m) * falls
            for m in miss
        ]
        points = _table(kind, known, own[0], own[1])
        some = known[:SOME]
        untrained = [
            _table(kind[:SOME], some, *(0.015 * rng.normal(size=(2, len(some), 3)) * falls))
            .with_columns(pl.lit(seed).alias("seed"))
            .filter(pl.col("size") == SIZES[1])
            for seed in range(SEEDS)
        ]
        result = ThreeBodiesResult(
            property="energy",
            unit="eV",
            points=points,
            untrained=pl.concat(untrained),
            inapplicable="",
            no_terms="",
            missing="",
            seed=int(rng.integers(2**31)),
        )
        return {f"three-bodies/{key}": one for key, one in zip(CLAIMS, judge(result).findings, strict=True)}

    return make


def _table(kind: np.ndarray, known: np.ndarray, energy: np.ndarray, term: np.ndarray) -> pl.DataFrame:
    """The points of all rings and sizes, ring by ring."""
    n = len(kind)
    columns = {
        "trimer": np.repeat(np.arange(n), len(SIZES)),
        "mixture": np.repeat(kind, len(SIZES)).astype(str),
        "size": np.tile(SIZES, n),
        "gap": np.tile(2.0 * np.array(SIZES), n),
        "energy": energy.ravel(),
        "pairs": -(energy.ravel() ** 2),
        "term": term.ravel(),
        "xtb": known.ravel(),
    }
    return pl.DataFrame(columns, schema=POINTS)


def _expected(**outcomes: Outcome) -> dict[str, Outcome]:
    return {f"three-bodies/{name}": outcome for name, outcome in outcomes.items()}


WORLDS = [
    World("three bodies right but for noise", _expected(energy=A, size=A, terms=A), three_bodies(0.85, 1.2)),
    World("three bodies of noise, five times too large", _expected(energy=D, size=D, terms=D), three_bodies(0.0, 5.0)),
    World("three bodies five times too small", _expected(energy=A, size=D, terms=A), three_bodies(0.85, 0.2)),
    World("three bodies on the limits", _expected(energy=C, size=C, terms=C), three_bodies(HALF, 2.0)),
    World("three bodies in order, as large as the limit", _expected(energy=A, size=C), three_bodies(0.85, 2.0)),
    World("three bodies of a mixture", _expected(energy=C, size=C, terms=C), three_bodies(0.0, 1.0, mixture=1.5)),
    World("three bodies in eight rings", _expected(energy=C, size=C, terms=C), three_bodies(0.85, 1.2, n=8)),
]
