"""What happens to pair terms in the last half ångström before the cutoff."""

from __future__ import annotations

import math

import polars as pl

from atomlens.analyses.decay.distance_range import CUTOFF_ZONE, DecayRange
from atomlens.analyses.decay.laws import MIN_VALUES, Decay, exponent
from atomlens.analyses.decay.pairs import decay_from
from atomlens.analyses.decay.scores import bootstrapped, few
from atomlens.analyses.pair_scores import Score
from atomlens.analyses.verdict import Control

_RIM = 0.1  # width of the rings compared for a jump, in Å


def score_cutoff(table: pl.DataFrame, where: DecayRange, *, seed: int, n_resamples: int) -> dict[str, Score]:
    """What happens in the last half Å: extra steepening against the reference, share of strength, and an edge."""
    boot = {"seed": seed, "n_resamples": n_resamples}
    start, end = where.cutoff - CUTOFF_ZONE, where.cutoff
    names = ("steepening before the cutoff, beyond that of GFN2 couplings", "share of strength in the last 0.5 Å")
    rows = table.filter((pl.col("term") != 0) & pl.col("distance").is_between(where.low, end, closed="left"))
    both = rows.filter(pl.col("gfn2_response") != 0)
    own, reference = decay_from(both, "term"), decay_from(both, "gfn2_response")
    fresh = decay_from(rows, "untrained")

    def bend(decay: Decay) -> float:
        return exponent(decay.between(start, end)) - exponent(decay.between(where.low, start))

    def share(decay: Decay) -> float:
        return float(decay.strength[decay.distance >= start].sum() / max(decay.strength.sum(), 1e-300))

    def edge(decay: Decay) -> float:
        rim, before = decay.between(end - _RIM, end), decay.between(start - _RIM, start)
        enough = min(len(rim), len(before)) >= MIN_VALUES
        return float(rim.strength.mean() / before.strength.mean()) if enough else math.nan

    steep = bootstrapped(names[0], own, lambda drawn: bend(drawn(own)) - bend(drawn(reference)), **boot)
    ended = bootstrapped(names[1], own, lambda drawn: share(drawn(own)), **boot)
    all_terms = decay_from(rows, "term")
    name = "height of the edge at the cutoff"
    sharp = bootstrapped(name, all_terms, lambda drawn: edge(drawn(all_terms)), **boot)
    n_last, missing = int((both["distance"] >= start).sum()), ""
    if not math.isfinite(steep.value):
        known = both["gfn2_response"].len() > 0
        missing = (
            f"only {n_last} pairs in the last {CUTOFF_ZONE:g} Å before the cutoff; a slope needs {MIN_VALUES}"
            if known
            else few(rows, "gfn2_response", where)
        )
    few_at_edge = "" if math.isfinite(sharp.value) else "too few pairs in the last 0.1 Å before the cutoff"
    if where.long_range:
        few_at_edge = "the model has energies of all pairs, which go on beyond the cutoff"
    # The cutoff function is built in: a model that has learned nothing bends and goes to zero as smoothly.
    untrained = [Control("untrained model", value(fresh), is_null=False) for value in (bend, share, edge)]
    untrained[0] = Control("untrained model", bend(fresh) - bend(reference), is_null=False)
    return {
        "steepening": Score(steep, (untrained[0],), missing),
        "cutoff_share": Score(
            ended, (untrained[1], Control("GFN2 couplings", share(reference), is_null=False)), missing
        ),
        "edge": Score(sharp, (untrained[2],), few_at_edge, inapplicable=where.long_range),
    }
