r"""How much do pairs, triples and more carry, and do terms of molecules match what is lost when they are removed?

Strength of an order is :math:`\sum |I(S)|` over its sets. In clusters, the term :math:`I(\{A, B\})` of two molecules
as groups is shown next to :math:`E_{AB} = E(A \cup B) - E(A) - E(B)` of the many-body expansion: of the model itself,
by really removing molecules, and of GFN2-xTB. The two sides differ by definition: a term is part of one prediction,
every gate as it is in the whole cluster; a removal compares predictions. Both are shown, and which is nearer to GFN2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from atomlens.analyses.claims import Claim, describe, judge_claim
from atomlens.analyses.inputs import N_UNTRAINED, seed_column
from atomlens.analyses.many_body.clusters import WATER
from atomlens.analyses.many_body.result import ManyBodyResult, compute
from atomlens.analyses.moments import Moments
from atomlens.analyses.rank_draws import OfDraws, rank_correlations
from atomlens.analyses.statistics import Rows, molecule_effect, pearson, rank_correlation
from atomlens.analyses.verdict import (
    Control,
    Effect,
    Finding,
    Verdict,
    cannot_tell,
    conclude,
    control_of,
    not_applicable,
    sentence_case,
)
from atomlens.reference import Kind

__all__ = ["SLUG", "TITLE", "ManyBodyResult", "compute", "judge"]

SLUG = "many-body"
TITLE = "Many-body character"

# Half of the variance of removals is what terms predict.
_CORRELATION = math.sqrt(0.5)
# A term is right within a factor of two.
_SLOPES = (0.5, 2.0)
# A quarter of the variance of ranks; GFN2 is a witness, not the truth.
_RANK = 0.5
# Half a power of ten, a factor of 3.2: the same order of magnitude.
_DECADES = (-0.5, 0.5)
_EXPANSION = "many-body expansion: Hankins, Moskowitz, Stillinger, J. Chem. Phys. 53, 4544 (1970)"
_GFN2 = "GFN2-xTB (Bannwarth et al., J. Chem. Theory Comput. 15, 1652, 2019), molecules removed"

_NO_TERMS = "An ASE calculator has no terms."
_SHUFFLES = 20
# A score of the rows of drawn clusters.
Score = Callable[[dict[str, np.ndarray]], float]
# The same of many draws at once: from all rows, the number of the cluster of each, and how many clusters there are.
Draws = Callable[[dict[str, np.ndarray], np.ndarray, int], OfDraws]


def judge(result: ManyBodyResult) -> Verdict:
    """Compare orders, and terms of molecules, with expansions."""
    findings = [_falls(result)]
    if not len(result.terms):
        claim = "Terms of molecules in clusters match what the model loses when they are removed."
        made = cannot_tell if result.kind == Kind.SUM else not_applicable
        return conclude(SLUG, (*findings, made(claim, result.terms_missing, _EXPANSION)))
    if result.has_terms:
        findings += [_predicts(result, 2), _right_size(result), _predicts(result, 3)]
    else:
        claim = "Terms of molecules in clusters match what the model loses when they are removed."
        findings.append(not_applicable(claim, f"{_NO_TERMS} Removals are compared with GFN2.", _EXPANSION))
    if "xtb" not in result.terms.columns or result.terms["xtb"].null_count() == len(result.terms):
        claim = "Terms of molecules in clusters match many-body energies of GFN2."
        made = cannot_tell if result.is_energy else not_applicable
        findings.append(made(claim, result.reference_missing, _GFN2))
    else:
        findings += [_like_reference(result, 2), _like_reference(result, 3), _three_body_size(result)]
    return conclude(SLUG, tuple(findings))


def _falls(result: ManyBodyResult) -> Finding:
    claim = Claim(
        "Triples carry less than pairs.",
        "Do triples carry less than pairs?",
        "A picture of pairs shows most of the prediction.",
        "A picture of pairs hides most of the prediction: look at triples.",
        _EXPANSION,
        0.0,
        above=False,
    )
    if not result.has_terms:
        return not_applicable(claim.text, f"{claim.asked} {_NO_TERMS}", _EXPANSION)
    table = result.molecules
    if "strength_3" not in table.columns:
        return cannot_tell(claim.text, "triple terms were not computed; analyze with --max-order 3", _EXPANSION)
    if not (table["terms_3"] > 0).any():
        return cannot_tell(claim.text, "no structure has three atoms that see each other", _EXPANSION)
    ratio = _log_ratio(table)
    effect = molecule_effect(
        "all triple terms next to all pair terms, mean over structures",
        lambda drawn: _mean(ratio[drawn]),
        len(ratio),
        unit="powers of ten",
        seed=result.seed,
    )
    # Strengths shuffled over pairs and triples leave nothing but how many there are of each.
    two, three = table["terms_2"].to_numpy(), table["terms_3"].to_numpy()
    counted = (two > 0) & (three > 0)
    shuffled = _mean(np.log10(three[counted] / two[counted]))
    seeds = result.untrained.partition_by("seed") if "seed" in result.untrained.columns else []
    controls = (
        Control("terms shuffled over orders", shuffled),
        control_of("untrained model", [_mean(_log_ratio(one)) for one in seeds]),
    )
    sums = {n: float(table[f"strength_{n}"].sum()) for n in (1, 2, 3)}
    higher = float(table["remainder"].sum())
    whole = sum(sums.values()) + higher
    shares = ", ".join(
        f"{name} {sums[n] / whole:.0%}" for n, name in ((1, "single atoms"), (2, "pairs"), (3, "triples"))
    )
    more = (
        f"of all strength {shares}; what orders above three sum to is {higher / whole:.1%}; mean range "
        f"{_mean(table['range_2'].to_numpy()):.2g} Å of pairs, {_mean(table['range_3'].to_numpy()):.2g} Å of triples"
    )
    if result.kind != Kind.SUM:
        return describe(claim, effect, f"No order is expected of it: {result.reason}.")
    return judge_claim(claim, effect, controls, more=more)


def _predicts(result: ManyBodyResult, order: int) -> Finding:
    name = {2: "two", 3: "three"}[order]
    claim = Claim(
        f"Terms of {name} molecules predict the model's own {name}-body energies, got by removing molecules.",
        f"Do terms of {name} molecules predict what the model loses when molecules are removed?",
        "Terms between molecules may be read as what their contact is worth to the model.",
        "Do not read terms between molecules as what their contact is worth to the model.",
        _EXPANSION,
        _CORRELATION,
        counted="clusters",
    )
    rows = _rows(result, order)
    if rows is None:
        return cannot_tell(claim.text, f"no cluster has {name} molecules in reach of each other", _EXPANSION)
    score: Score = lambda r: pearson(r["term"], r["removal"])  # noqa: E731
    draws: Draws = lambda r, owner, n: Moments(r["term"], r["removal"], owner, n).correlation  # noqa: E731
    effect = _effect(result, order, "correlation of terms with removals", score, draws)
    # Untrained models are no null here: the claim is about terms, and they should predict any model.
    controls = (
        control_of(
            "terms shuffled", [pearson(shuffled, rows["removal"]) for shuffled in _shuffles(rows["term"], result.seed)]
        ),
        control_of("untrained model", _of_untrained(rows, score), is_null=False),
        Control("distance alone", abs(pearson(rows["gap"], rows["removal"])), is_null=False),
    )
    more = f"{len(rows['term'])} sets, {_families(result)}"
    more += _of_water(result, order, score)
    return judge_claim(claim, effect, controls, more=more)


def _right_size(result: ManyBodyResult) -> Finding:
    claim = Claim(
        "Removing one of two molecules costs what their term says, within a factor of two.",
        "Does removing one of two molecules cost what their term says?",
        "Sizes of terms between molecules are sizes of energies.",
        "Terms between molecules rank contacts at best; their size is no energy.",
        _EXPANSION,
        band=_SLOPES,
        counted="clusters",
    )
    rows = _rows(result, 2)
    if rows is None:
        return cannot_tell(claim.text, "no cluster has two molecules in reach of each other", _EXPANSION)
    effect = _effect(result, 2, "slope of removals against terms", lambda r: _slope(r["term"], r["removal"]))
    controls = (
        control_of(
            "terms shuffled", [_slope(shuffled, rows["removal"]) for shuffled in _shuffles(rows["term"], result.seed)]
        ),
        control_of("untrained model", _of_untrained(rows, lambda r: _slope(r["term"], r["removal"])), is_null=False),
    )
    size = [float(np.abs(rows[column]).mean()) for column in ("term", "removal")]
    more = f"mean size of removals {size[1]:.2g} {result.unit}, of terms {size[0]:.2g} {result.unit}"
    return judge_claim(claim, effect, controls, more=more)


def _like_reference(result: ManyBodyResult, order: int) -> Finding:
    name = {2: "two", 3: "three"}[order]
    # Without terms, the model's own many-body energies are asked for: what it loses when molecules are removed.
    what = f"terms of {name} molecules" if result.has_terms else f"{name}-body energies"
    known = f"GFN2's {name}-body energies" if result.has_terms else "GFN2's"
    short = f"terms of {name} molecules" if result.has_terms else what
    claim = Claim(
        f"{sentence_case(what)} rank as {known}.",
        f"Do {what} rank as {known}?",
        f"The strongest {short} are the strongest contacts.",
        f"The strongest {short} are not the strongest contacts.",
        _GFN2,
        _RANK,
        counted="clusters",
    )
    rows, own = _rows(result, order, with_reference=True), _own(result)
    if rows is None:
        return cannot_tell(claim.text, result.reference_missing or f"no cluster has {name} molecules in reach", _GFN2)
    score: Score = lambda r: rank_correlation(r[own], r["xtb"])  # noqa: E731
    draws: Draws = lambda r, owner, n: rank_correlations(r[own], r["xtb"], owner, n)  # noqa: E731
    told = f"rank correlation with GFN2's {name}-body energies"
    effect = _effect(result, order, told, score, draws, with_reference=True)
    shuffled = [rank_correlation(values, rows["xtb"]) for values in _shuffles(rows[own], result.seed)]
    alone = Control("distance alone", abs(rank_correlation(rows["gap"], rows["xtb"])), is_null=False)
    controls = (control_of("terms shuffled" if result.has_terms else "energies shuffled", shuffled), alone)
    more = f"{len(rows[own])} sets, {_families(result)}; distance alone {alone.value:.2g}"
    if result.has_terms:
        removals = rank_correlation(rows["removal"], rows["xtb"])
        controls = (
            controls[0],
            control_of("untrained model", _of_untrained(rows, score)),
            Control("the model's own removals", removals, is_null=False),
            alone,
        )
        more += f", the model's own removals {removals:.2g}"
    return judge_claim(claim, effect, controls, more=more + _of_water(result, order, score, with_reference=True))


def _three_body_size(result: ManyBodyResult) -> Finding:
    claim = Claim(
        "Three molecules share as much beyond pairs as GFN2 says, within about a factor of three.",
        "Is what three molecules share beyond pairs as large as in GFN2?",
        "Cooperative effects have the right size.",
        "Cooperative effects have the wrong size: do not trust liquids or clusters of many molecules.",
        _GFN2,
        band=_DECADES,
        counted="clusters",
    )
    three = _rows(result, 3, with_reference=True)
    both = _rows(result, None, with_reference=True)
    if three is None or both is None:
        return cannot_tell(claim.text, result.reference_missing or "no cluster has three molecules in reach", _GFN2)

    own = _own(result)

    def decades(rows: dict[str, np.ndarray], column: str = own) -> float:
        return _three_to_two(rows, column) - _three_to_two(rows, "xtb")

    effect = _effect(
        result,
        None,
        "three-body next to two-body strength, model over GFN2, powers of ten",
        decades,
        with_reference=True,
    )
    shuffled = [decades(both | {own: values}) for values in _shuffles(both[own], result.seed)]
    controls = (control_of(f"{'terms' if result.has_terms else 'energies'} shuffled over orders", shuffled),)
    shown = {"removal": "of the model's own removals", "xtb": "of GFN2"}
    if result.has_terms:
        fresh = control_of("untrained model", _of_untrained(both, decades))
        removals = Control("the model's own removals", decades(both, "removal"), is_null=False)
        controls, shown = (*controls, fresh, removals), {"term": "of terms", **shown}
    ratios = [f"{10 ** _three_to_two(both, column):.2g} {name}" for column, name in shown.items()]
    more = f"three-body to two-body strength {', '.join(ratios)}"
    return judge_claim(claim, effect, controls, more=more)


def _own(result: ManyBodyResult) -> str:
    """What is compared with GFN2: terms, or the model's own removals where it has none."""
    return "term" if result.has_terms else "removal"


def _of_untrained(rows: dict[str, np.ndarray], score: Score) -> list[float]:
    """The score of every untrained model, over the clusters that it was asked about."""
    found = []
    for seed in range(N_UNTRAINED):
        term, removal = seed_column("untrained_term", seed), seed_column("untrained_removal", seed)
        if term in rows:
            known = np.isfinite(rows[term])
            chosen = {column: values[known] for column, values in rows.items()}
            found.append(score(chosen | {"term": chosen[term], "removal": chosen[removal]}))
    return found


def _rows(
    result: ManyBodyResult, order: int | None, *, with_reference: bool = False, water: bool = False
) -> dict[str, np.ndarray] | None:
    """Columns of the terms of an order (None: all) in the set's clusters, or those of water; None without rows."""
    table = result.terms.filter((pl.col("family") == WATER) == water)
    table = table.filter(pl.col("order") == order) if order else table
    table = table.filter(pl.col("xtb").is_not_null()) if with_reference else table
    numbers = table.drop("family", "molecules")
    # Untrained models are asked about some clusters only: NaN elsewhere.
    return {name: numbers[name].fill_null(math.nan).to_numpy() for name in numbers.columns} if len(table) else None


def _effect(
    result: ManyBodyResult,
    order: int | None,
    name: str,
    score: Score,
    draws: Draws | None = None,
    *,
    with_reference: bool = False,
) -> Effect:
    """A score with its bootstrap interval over clusters; `draws` is the score of many draws at once."""
    rows = _rows(result, order, with_reference=with_reference)
    if rows is None:
        return Effect(name, math.nan)
    rows = {column: values for column, values in rows.items() if not column.startswith("untrained_")}
    clusters, owner = np.unique(rows["cluster"], return_inverse=True)
    if draws is not None:
        of_draws = draws(rows, owner, len(clusters))
        effect = molecule_effect(name, of_draws, len(clusters), seed=result.seed, vectorized=True)
        # To the last digit that of a control with the same values.
        return replace(effect, value=score(rows))
    of_cluster = Rows(owner, len(clusters))

    def drawn_score(drawn: np.ndarray) -> float:
        chosen = of_cluster.of(drawn)
        return score({column: values[chosen] for column, values in rows.items()})

    return molecule_effect(name, drawn_score, len(clusters), seed=result.seed)


def _of_water(result: ManyBodyResult, order: int, score: Score, *, with_reference: bool = False) -> str:
    rows = _rows(result, order, with_reference=with_reference, water=True)
    return "" if rows is None else f"; in clusters of three water molecules {score(rows):.2g}"


def _families(result: ManyBodyResult) -> str:
    main = result.terms.filter(pl.col("family") != WATER)
    names = main["family"].unique().sort().to_list()
    return f"{main['cluster'].n_unique()} clusters, {' and '.join(names)}"


def _shuffles(values: np.ndarray, seed: int) -> list[np.ndarray]:
    """The values in several random orders."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(values) for _ in range(_SHUFFLES)]


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Least-squares slope of y against x through the origin."""
    return float(x @ y / (x @ x)) if x.any() else math.nan


def _three_to_two(rows: dict[str, np.ndarray], column: str) -> float:
    """log10 of the summed absolute values of order three over those of order two."""
    sums = [float(np.abs(rows[column][rows["order"] == n]).sum()) for n in (2, 3)]
    return math.log10(sums[1] / sums[0]) if min(sums) > 0 else math.nan


def _log_ratio(table: pl.DataFrame) -> np.ndarray:
    """log10 of triple strength over pair strength, a molecule each; NaN where there is none of either."""
    if "strength_3" not in table.columns:
        return np.full(len(table), math.nan)
    two, three = table["strength_2"].to_numpy(), table["strength_3"].to_numpy()
    there = (two > 0) & (three > 0)
    return np.log10(np.where(there, three, math.nan) / np.where(there, two, 1.0))


def _mean(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan
