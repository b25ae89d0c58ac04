r"""How much do pairs, triples and more carry, and do terms of molecules match what is lost when they are removed?

Strength of an order is :math:`\sum |I(S)|` over its sets. In clusters, the term :math:`I(\{A, B\})` of two molecules
as groups stands beside :math:`E_{AB} = E(A \cup B) - E(A) - E(B)` of the many-body expansion: of the model itself, by
really removing molecules, and of GFN2-xTB. The two sides differ by definition: a term is part of one prediction, every
gate as it is in the whole cluster; a removal compares predictions. Both are told, and which is nearer to GFN2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses.many_body.clusters import WATER
from atomlens.analyses.many_body.result import ManyBodyResult, compute
from atomlens.analyses.statistics import Rows, molecule_effect, rank_correlation
from atomlens.analyses.verdict import Control, Effect, Finding, Outcome, Verdict, cannot_tell, conclude, decide
from atomlens.reference import Kind

__all__ = ["SLUG", "TITLE", "ManyBodyResult", "compute", "judge"]

SLUG = "many-body"
TITLE = "Many-body character"

# Half of the variance of removals is what terms foretell.
_CORRELATION = math.sqrt(0.5)
# A term is right within a factor of two.
_SLOPES = (0.5, 2.0)
# A quarter of the variance of ranks; GFN2 is a witness, not the truth.
_RANK = 0.5
# Half a decade: the same order of magnitude.
_DECADES = (-0.5, 0.5)
_EXPANSION = "many-body expansion: Hankins, Moskowitz, Stillinger, J. Chem. Phys. 53, 4544 (1970)"
_GFN2 = "GFN2-xTB (Bannwarth et al., J. Chem. Theory Comput. 15, 1652, 2019), molecules removed"

# A score of the rows of drawn clusters.
Score = Callable[[dict[str, np.ndarray]], float]


def judge(result: ManyBodyResult) -> Verdict:
    """Hold orders, and terms of molecules, against expansions."""
    findings = [_falls(result)]
    if not len(result.terms):
        claim = "Terms of molecules in clusters match what the model loses when they are removed."
        return conclude(SLUG, (*findings, cannot_tell(claim, result.terms_missing, _EXPANSION)))
    findings += [_foretells(result, 2), _right_size(result), _foretells(result, 3)]
    if "xtb" not in result.terms.columns or result.terms["xtb"].null_count() == len(result.terms):
        claim = "Terms of molecules in clusters match many-body energies of GFN2."
        findings.append(cannot_tell(claim, result.reference_missing, _GFN2))
    else:
        findings += [_like_reference(result, 2), _like_reference(result, 3), _three_body_size(result)]
    return conclude(SLUG, tuple(findings))


def _falls(result: ManyBodyResult) -> Finding:
    claim = "Triples carry less than pairs."
    table = result.molecules
    if "strength_3" not in table.columns:
        return cannot_tell(claim, "triple terms were not computed; analyze with --max-order 3", _EXPANSION)
    if not (table["terms_3"] > 0).any():
        return cannot_tell(claim, "no structure has three atoms that see each other", _EXPANSION)
    ratio = _log_ratio(table)
    effect = molecule_effect(
        "mean log10 of Σ|triple terms| / Σ|pair terms|",
        lambda drawn: _mean(ratio[drawn]),
        len(ratio),
        unit="decades",
        seed=result.seed,
    )
    # Strengths dealt anew over pairs and triples leave nothing but how many there are of each.
    two, three = table["terms_2"].to_numpy(), table["terms_3"].to_numpy()
    counted = (two > 0) & (three > 0)
    dealt = _mean(np.log10(three[counted] / two[counted]))
    untrained = _mean(_log_ratio(result.untrained)) if len(result.untrained) else math.nan
    controls = (Control("terms shuffled over orders", dealt), Control("untrained model", untrained))
    sums = {n: float(table[f"strength_{n}"].sum()) for n in (1, 2, 3)}
    higher = float(table["remainder"].sum())
    whole = sum(sums.values()) + higher
    shares = ", ".join(
        f"{name} {sums[n] / whole:.0%}" for n, name in ((1, "single atoms"), (2, "pairs"), (3, "triples"))
    )
    sentence = (
        f"Of all strength: {shares}; what orders above three sum to is {higher / whole:.1%}. Mean range "
        f"{_mean(table['range_2'].to_numpy()):.2g} Å of pairs, {_mean(table['range_3'].to_numpy()):.2g} Å of triples."
    )
    if result.kind != Kind.SUM:
        reason = f" No order is expected of it: {result.reason}."
        return Finding(claim, Outcome.CANNOT_TELL, sentence + reason, effect, reference=_EXPANSION)
    return Finding(claim, decide(effect, 0.0, controls, above=False), sentence, effect, 0.0, controls, _EXPANSION)


def _foretells(result: ManyBodyResult, order: int) -> Finding:
    name = {2: "two", 3: "three"}[order]
    claim = f"Terms of {name} molecules foretell the model's own {name}-body energies, got by removing molecules."
    rows = _rows(result, order)
    if rows is None:
        return cannot_tell(claim, f"no cluster has {name} molecules in reach of each other", _EXPANSION)
    effect = _effect(result, order, "correlation of terms with removals", lambda r: _pearson(r["term"], r["removal"]))
    # An untrained model is no null here: the claim is about terms, and they should foretell any model.
    controls = (
        Control("terms shuffled", _pearson(_shuffled(rows["term"], result.seed), rows["removal"])),
        Control("untrained model", _pearson(rows["untrained_term"], rows["untrained_removal"]), is_null=False),
        Control("distance alone", abs(_pearson(rows["gap"], rows["removal"])), is_null=False),
    )
    outcome = decide(effect, _CORRELATION, controls)
    sentence = (
        f"Terms of {name} molecules and the model's own {name}-body energies correlate by {effect} "
        f"({len(rows['term'])} sets, {_families(result)})"
    )
    sentence += _of_water(result, order, lambda r: _pearson(r["term"], r["removal"])) + "."
    return Finding(claim, outcome, sentence, effect, _CORRELATION, controls, _EXPANSION)


def _right_size(result: ManyBodyResult) -> Finding:
    claim = "Removing one of two molecules costs what their term says, within a factor of two."
    rows = _rows(result, 2)
    if rows is None:
        return cannot_tell(claim, "no cluster has two molecules in reach of each other", _EXPANSION)
    effect = _effect(result, 2, "slope of removals against terms", lambda r: _slope(r["term"], r["removal"]))
    controls = (
        Control("terms shuffled", _slope(_shuffled(rows["term"], result.seed), rows["removal"])),
        Control("untrained model", _slope(rows["untrained_term"], rows["untrained_removal"]), is_null=False),
    )
    size = [float(np.abs(rows[column]).mean()) for column in ("term", "removal")]
    sentence = (
        f"Removing one of two molecules costs {effect} times their term; mean sizes {size[1]:.2g} and {size[0]:.2g} "
        f"{result.unit}."
    )
    return Finding(claim, within(effect, _SLOPES, controls), sentence, effect, _SLOPES[0], controls, _EXPANSION)


def _like_reference(result: ManyBodyResult, order: int) -> Finding:
    name = {2: "two", 3: "three"}[order]
    claim = f"Terms of {name} molecules rank as GFN2's {name}-body energies."
    rows = _rows(result, order, with_reference=True)
    if rows is None:
        return cannot_tell(claim, result.reference_missing or f"no cluster has {name} molecules in reach", _GFN2)
    score: Score = lambda r: rank_correlation(r["term"], r["xtb"])  # noqa: E731
    effect = _effect(result, order, f"rank correlation with GFN2's {name}-body energies", score, with_reference=True)
    controls = (
        Control("terms shuffled", rank_correlation(_shuffled(rows["term"], result.seed), rows["xtb"])),
        Control("untrained model", rank_correlation(rows["untrained_term"], rows["xtb"])),
        Control("the model's own removals", rank_correlation(rows["removal"], rows["xtb"]), is_null=False),
        Control("distance alone", abs(rank_correlation(rows["gap"], rows["xtb"])), is_null=False),
    )
    sentence = (
        f"Terms of {name} molecules and GFN2's {name}-body energies have a rank correlation of {effect} "
        f"({len(rows['term'])} sets, {_families(result)}); the model's own removals {controls[2].value:.2g}, distance "
        f"alone {controls[3].value:.2g}"
    )
    sentence += _of_water(result, order, score, with_reference=True) + "."
    return Finding(claim, decide(effect, _RANK, controls), sentence, effect, _RANK, controls, _GFN2)


def _three_body_size(result: ManyBodyResult) -> Finding:
    claim = "Three molecules share as much beyond pairs as GFN2 says, within half a decade."
    three = _rows(result, 3, with_reference=True)
    both = _rows(result, None, with_reference=True)
    if three is None or both is None:
        return cannot_tell(claim, result.reference_missing or "no cluster has three molecules in reach", _GFN2)

    def decades(rows: dict[str, np.ndarray], column: str = "term") -> float:
        return _three_to_two(rows, column) - _three_to_two(rows, "xtb")

    effect = _effect(
        result, None, "log10 of the ratio of 3-body to 2-body strength, model over GFN2", decades, with_reference=True
    )
    dealt = both | {"term": _shuffled(both["term"], result.seed)}
    controls = (
        Control("terms shuffled over orders", decades(dealt)),
        Control("untrained model", decades(both, "untrained_term")),
        Control("the model's own removals", decades(both, "removal"), is_null=False),
    )
    ratios = {column: 10 ** _three_to_two(both, column) for column in ("term", "removal", "xtb")}
    sentence = (
        f"Strength of three-body to two-body: {ratios['term']:.2g} of terms, {ratios['removal']:.2g} of the model's "
        f"own removals, {ratios['xtb']:.2g} of GFN2."
    )
    return Finding(claim, within(effect, _DECADES, controls), sentence, effect, _DECADES[1], controls, _GFN2)


def within(effect: Effect, band: tuple[float, float], controls: tuple[Control, ...] = ()) -> Outcome:
    """Outcome of a score that should lie inside a band: `decide` on its distance from the middle.

    Examples
    --------
    >>> within(Effect("slope", 1.0, 0.9, 1.1, 20), (0.5, 2.0))
    <Outcome.AGREES: 'agrees'>
    >>> within(Effect("slope", 0.3, 0.2, 0.4, 20), (0.5, 2.0))
    <Outcome.DEVIATES: 'deviates'>
    """
    middle, half = (band[0] + band[1]) / 2, (band[1] - band[0]) / 2
    ends = (abs(effect.low - middle), abs(effect.high - middle))
    near = 0.0 if effect.low <= middle <= effect.high else min(ends)
    far = Effect(effect.name, abs(effect.value - middle), near, max(ends), effect.n)
    folded = tuple(Control(control.name, abs(control.value - middle), control.is_null) for control in controls)
    return decide(far, half, folded, above=False)


def _rows(
    result: ManyBodyResult, order: int | None, *, with_reference: bool = False, water: bool = False
) -> dict[str, np.ndarray] | None:
    """Columns of the terms of an order (None: all) in the set's clusters, or those of water; None without rows."""
    table = result.terms.filter((pl.col("family") == WATER) == water)
    table = table.filter(pl.col("order") == order) if order else table
    table = table.filter(pl.col("xtb").is_not_null()) if with_reference else table
    numbers = table.drop("family", "molecules")
    return {name: numbers[name].to_numpy() for name in numbers.columns} if len(table) else None


def _effect(
    result: ManyBodyResult, order: int | None, name: str, score: Score, *, with_reference: bool = False
) -> Effect:
    """A score with its bootstrap interval over clusters."""
    rows = _rows(result, order, with_reference=with_reference)
    if rows is None:
        return Effect(name, math.nan)
    clusters, owner = np.unique(rows["cluster"], return_inverse=True)
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


def _shuffled(values: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(values)


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0 else math.nan


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
