"""Made-up pair terms of molecules whose chemistry is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from scipy.stats import norm, rankdata

from atomlens.analyses import Finding, Outcome
from atomlens.analyses.pair_scores import Score, pair_score
from atomlens.analyses.rank_draws import means
from atomlens.analyses.species import pairs as species_pairs
from atomlens.analyses.species.judgement import CLAIMS, Circumstances, findings
from atomlens.analyses.statistics import share_with_limits
from made_up import A, C, D, World

MOLECULES, SEEDS, RESAMPLES = 40, 5, 200
ABOUT = Circumstances("energy", "eV", True, MOLECULES, 9, "", 0.0, 0.0, 1.0)
# Twelve classes of bonds: number of the two elements, order, energy in eV.
_CLASSES = [
    (0, 1, 3.6), (0, 2, 6.3), (0, 3, 8.7), (1, 1, 3.0), (1, 2, 6.4), (1, 3, 9.2),
    (2, 1, 3.6), (2, 2, 7.7), (3, 0, 4.3), (4, 0, 4.0), (5, 0, 4.8), (6, 0, 4.6),
]  # fmt: skip
# From the columns and a random source to terms.
Law = Callable[[dict[str, np.ndarray], np.random.Generator], np.ndarray]


def _columns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Molecules of 20 bonds and 40 other pairs each, two of these hydrogen bonds."""
    n = MOLECULES * 60
    bonded = np.tile(np.arange(60) < 20, MOLECULES)
    which = rng.integers(len(_CLASSES), size=n)
    kind, level, energy = (np.array(column)[which] for column in zip(*_CLASSES, strict=True))
    nearness = np.where(bonded, 4, rng.integers(1, 4, size=n))
    order = np.where(bonded, energy / 4.0, 0.02 * nearness) * np.exp(0.1 * rng.normal(size=n))
    return {
        "frame": np.repeat(np.arange(MOLECULES), 60),
        "bonded": bonded,
        "bond_kind": np.where(bonded, which, 0),
        "kind": kind,
        "level": np.where(bonded, level, 0),
        "energy": np.where(bonded, energy, 0.0),
        "nearness": nearness,
        "everyone": np.zeros(n, dtype=int),
        "bond_order": order,
        "hydrogen_bond": np.tile(np.arange(60) >= 58, MOLECULES),
        "distance": np.where(bonded, 1.2, 5.0 - 0.6 * nearness) * np.exp(0.05 * rng.normal(size=n)),
    }


def scored(law: Law) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Judged terms of a law."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        columns = _columns(rng)
        terms = law(columns, rng)
        fresh = [pl.DataFrame(columns | {"term": rng.normal(size=len(terms))}) for _ in range(SEEDS)]
        scores = _scores(pl.DataFrame(columns | {"term": terms}), fresh, int(rng.integers(2**31)))
        made = dict(zip(CLAIMS, findings(scores, pl.DataFrame(), ABOUT), strict=True))
        return {f"species/{key}": made[key] for key in CLAIMS}

    return make


def _scores(pairs: pl.DataFrame, fresh: list[pl.DataFrame], seed: int) -> dict[str, Score]:
    """The scores of `atomlens.analyses.species.question.compute`, from its own statistics."""
    bonded = pl.col("bonded")
    comparisons = [(kind, high, low) for kind in range(3) for high in (2, 3) for low in (1, 2) if high > low]
    comparisons = [one for one in comparisons if one[0] < 2 or one[1] < 3]

    def score(statistic: Callable, keep: pl.Expr, *names: str, **more: object) -> Score:
        given = {"keep": keep, "seed": seed, "n_resamples": RESAMPLES, **more}
        return pair_score("score", statistic, pairs, fresh, names, "term", **given)

    found = {}
    for suffix, reading in (("", np.abs), ("_signed", np.negative)):
        of_class = partial(species_pairs.class_effect, "score", reading=reading)
        by_class = partial(species_pairs.class_correlation, reading=reading)
        found["energies" + suffix] = score(by_class, bonded, "bond_kind", "energy", interval=of_class)
        ordered = bonded & (pl.col("level") > 0)
        by_level = _by_level(reading=reading, comparisons=comparisons)
        found["multiplicity" + suffix] = score(by_level[0], ordered, "kind", "level", draws=by_level[1])
    ranks = {"draws": species_pairs.order_correlations}
    found["orders_all"] = score(species_pairs.order_correlation, pl.lit(True), "bond_order", **ranks)
    found["orders_bonded"] = score(species_pairs.order_correlation, bonded, "bond_order", **ranks)
    nearer = [(0, 4, 3), (0, 3, 2), (0, 2, 1)]
    topology = _by_level(reading=np.abs, comparisons=nearer, columns=("everyone", "nearness"))
    found["topology"] = score(topology[0], pl.lit(True), "everyone", "nearness", draws=topology[1])
    sign = score(
        lambda _, terms: float((terms < 0).mean()),
        bonded,
        draws=lambda _, terms, molecule, n: means(terms < 0, molecule, n),
    )
    found["bond_sign"] = Score(share_with_limits(sign.effect), sign.controls, sign.missing)
    found["hydrogen_bonds"] = pair_score(
        "score",
        lambda _, terms: float(terms.mean()),
        pairs.filter(~bonded),
        [table.filter(~bonded) for table in fresh],
        (),
        "term",
        keep=pl.col("hydrogen_bond"),
        seed=seed,
        n_resamples=RESAMPLES,
        draws=lambda _, terms, molecule, n: means(terms, molecule, n),
    )
    return found


def _by_level(**asked: object) -> tuple[Callable, Callable]:
    """Concordance, and the same for many draws at once."""
    return partial(species_pairs.concordance, **asked), partial(species_pairs.concordances_of, **asked)


def chemical(columns: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Bonds by their energy, other pairs weaker with every bond between and of either sign; hydrogen bonds attract."""
    strength = np.where(columns["bonded"], columns["energy"], 0.02 * 3.0 ** columns["nearness"])
    strength = np.where(columns["hydrogen_bond"], 2.0 * strength, strength) * np.exp(
        0.2 * rng.normal(size=len(strength))
    )
    held = columns["bonded"] | columns["hydrogen_bond"]
    return np.where(held, -1.0, rng.choice([-1.0, 1.0], size=len(strength))) * strength


def turned_about(columns: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Strengths as in chemistry, every sign wrong."""
    return -chemical(columns, rng)


def reversed_strengths(columns: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The stronger in chemistry, the weaker here."""
    return 1.0 / chemical(columns, rng)


def blind(columns: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Terms that know of nothing."""
    return rng.normal(size=len(columns["frame"]))


def at_the_limits(columns: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Classes that rank by about a half, nine bonds in ten negative, hydrogen bonds of mean zero, no topology."""
    shuffled = (
        0.5 * columns["energy"] + 0.87 * np.array([e for *_, e in _CLASSES])[rng.permutation(12)][columns["bond_kind"]]
    )
    size = np.where(columns["bonded"], shuffled, 3.0) * np.exp(0.3 * rng.normal(size=len(shuffled)))
    sign = np.where(rng.random(len(size)) < np.where(columns["hydrogen_bond"], 0.5, 0.1), 1.0, -1.0)
    return sign * size


def half_ranked(columns: dict[str, np.ndarray], rng: np.random.Generator, *, bonds_only: bool) -> np.ndarray:
    r"""Strengths whose rank correlation with bond orders is one half, over all pairs or over bonds.

    Of normal variates with correlation r, ranks correlate by :math:`(6 / \pi) \arcsin(r / 2)`.
    """
    r = 2.0 * np.sin(np.pi / 12.0)
    order = columns["bond_order"]
    chosen = columns["bonded"] if bonds_only else np.ones(len(order), dtype=bool)
    score = np.zeros(len(order))
    score[chosen] = norm.ppf(rankdata(order[chosen]) / (chosen.sum() + 1))
    return np.exp(r * score + np.sqrt(1.0 - r**2) * rng.normal(size=len(order)))


def _all(outcome: Outcome, **others: Outcome) -> dict[str, Outcome]:
    return {f"species/{key}": others.get(key, outcome) for key in CLAIMS}


_STRENGTH = ("energies", "orders_all", "orders_bonded", "multiplicity", "topology")
_AT_LIMIT = ("energies", "energies_signed", "bond_sign", "hydrogen_bonds")

WORLDS = [
    World("terms as chemistry has them", _all(A), scored(chemical)),
    World(
        "strengths as chemistry has them, signs turned about",
        _all(D, **dict.fromkeys(_STRENGTH, A)),
        scored(turned_about),
    ),
    World("strengths reversed", _all(D, bond_sign=A, hydrogen_bonds=A), scored(reversed_strengths)),
    # Half of the bonds are negative, which is not nearly all; ranks of noise are below a half.
    World(
        "terms that know of nothing",
        _all(C, **dict.fromkeys(("energies", "energies_signed", "orders_all", "orders_bonded", "bond_sign"), D)),
        scored(blind),
    ),
    *(
        World(
            f"{what} rank by one half with bond orders",
            {f"species/{key}": C},
            scored(partial(half_ranked, bonds_only=only)),
        )
        for what, key, only in (("all pairs", "orders_all", False), ("bonds", "orders_bonded", True))
    ),
    World("the truth lies on the limits", {f"species/{key}": C for key in _AT_LIMIT}, scored(at_the_limits)),
]
