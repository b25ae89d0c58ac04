"""Numbers that the judgement of decay rests on, each with its interval and its controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.analyses.decay.distance_range import CUTOFF_ZONE, Range
from atomlens.analyses.decay.laws import MIN_VALUES, Decay, decay_of, exponent, exponent_distance, law_preference
from atomlens.analyses.decay.pairs import decay_from
from atomlens.analyses.pair_scores import Score, no_score, shuffled_within
from atomlens.analyses.statistics import Rows, molecule_effect, share_effect
from atomlens.analyses.verdict import Control, Effect

_WINDOW = 0.5
_RIM = 0.1  # width of the rings compared for a jump, in Å
TAIL = 3.0  # nearest atoms of a dimer's tail are further apart than this, in Å
_FLIP = 0.01  # a sign counts if its value is above this share of the dimer's largest


def score_pairs(table: pl.DataFrame, where: Range, *, seed: int, n_resamples: int) -> dict[str, Score]:
    """Law, exponents and behaviour at the cutoff, of non-bonded pairs (`decay_pairs.non_bonded`)."""
    rng = np.random.default_rng(seed)
    frame = table["frame"].to_numpy()
    for source, name in (("term", "shuffled"), ("model_response", "shuffled_response")):
        known = table[source].is_not_null().to_numpy()
        dealt = np.full(len(table), math.nan)
        dealt[known] = shuffled_within(table[source].to_numpy()[known].astype(float), frame[known], rng)
        table = table.with_columns(pl.Series(name, dealt).fill_nan(None))
    inside = table.filter(pl.col("distance").is_between(where.low, where.high, closed="left"))
    boot = {"seed": seed, "n_resamples": n_resamples}
    law = law_preference("gain of a power law over an exponential", decay_from(inside, "term"), **boot)
    controls = tuple(
        Control(name, law_preference("", decay_from(inside, source), seed=seed, n_resamples=2).value)
        for name, source in (("shuffled terms", "shuffled"), ("untrained model", "untrained"))
    )
    missing = "" if math.isfinite(law.value) else _few(inside, "term", where)
    return {
        "law": Score(law, controls, missing),
        "exponent": _exponents(
            inside,
            "term",
            ("shuffled", "untrained"),
            "exponents of pair terms less 2 and of GFN2 couplings apart",
            where,
            boot,
        ),
        "exponent_response": _exponents(
            inside,
            "model_response",
            ("shuffled_response", "untrained_response"),
            "exponents of the model's couplings and of GFN2 couplings apart",
            where,
            boot,
        ),
        "growth": _growth(inside, where, boot),
        **_at_cutoff(table, where, boot),
    }


def score_dimers(
    scans: pl.DataFrame, untrained: pl.DataFrame, where: Range, *, seed: int, n_resamples: int
) -> dict[str, Score]:
    """Exponent and sign of the terms of two molecules in their tail, against GFN2 interaction energies."""
    names = (
        "exponents of group terms and of GFN2 interaction energies apart",
        "share of dimers whose term changes sign",
    )
    reason = ""
    if not where.is_energy:
        reason = f"GFN2 interaction energies are no reference for {where.quantity}"
    elif not len(scans):
        reason = "no two single molecules without cell to pull apart"
    elif scans["gfn2"].null_count() == len(scans):
        reason = "no GFN2 interaction energies"
    if reason:
        return {"dimer_exponent": no_score(names[0], reason), "sign": no_score(names[1], reason)}
    rng = np.random.default_rng(seed)
    dimer = scans["dimer"].to_numpy()
    table = scans.with_columns(
        pl.Series("shuffled", shuffled_within(scans["group_term"].to_numpy(), dimer, rng)),
        pl.Series("untrained", untrained["group_term"].to_numpy()),
    )
    tail = table.filter(
        pl.col("gap").is_between(TAIL, where.tail_end),
        pl.col("gfn2").is_not_null() & (pl.col("gfn2") != 0),
    )

    def decays(source: str) -> tuple[Decay, Decay]:
        rows = tail.filter(pl.col(source) != 0)
        r, group = rows["separation"].to_numpy(), rows["dimer"].to_numpy()
        return decay_of(r, rows[source].to_numpy(), group, group), decay_of(r, rows["gfn2"].to_numpy(), group, group)

    effect = exponent_distance(names[0], *decays("group_term"), seed=seed, n_resamples=n_resamples)
    controls = [
        Control(name, abs(exponent(one) - exponent(other)))
        for name, (one, other) in (("shuffled terms", decays("shuffled")), ("untrained model", decays("untrained")))
    ]
    controls.append(Control("distance alone", abs(-1.0 - exponent(decays("group_term")[1])), is_null=False))
    missing = "" if math.isfinite(effect.value) else f"fewer than {MIN_VALUES} points in the tails of the dimers"
    return {
        "dimer_exponent": Score(effect, tuple(controls), missing),
        "sign": _sign(names[1], tail, table, rng),
    }


def _sign(name: str, tail: pl.DataFrame, table: pl.DataFrame, rng: np.random.Generator) -> Score:
    """How often the model's term takes both signs in a tail where the reference keeps one."""
    tail = tail.with_columns(pl.Series("anywhere", rng.permutation(tail["group_term"].to_numpy())))
    scale = dict(table.group_by("dimer").agg(pl.col("group_term").abs().max()).iter_rows())
    fresh_scale = dict(table.group_by("dimer").agg(pl.col("untrained").abs().max()).iter_rows())
    flips: dict[str, list[bool]] = {"group_term": [], "anywhere": [], "untrained": []}
    for (number,), rows in tail.sort("dimer").partition_by("dimer", as_dict=True, maintain_order=True).items():
        if len(rows) < 2 or _both_signs(rows["gfn2"].to_numpy(), 0.0):
            continue  # the reference is to keep its sign at every size
        for source, found in flips.items():
            size = (fresh_scale if source == "untrained" else scale)[number]
            found.append(_both_signs(rows[source].to_numpy(), size))
    own = np.array(flips["group_term"], dtype=bool)
    if not len(own):
        return no_score(name, "GFN2 interaction energies change sign in every tail, or there is no tail")
    effect = share_effect(name, own)
    controls = (
        Control("shuffled terms", float(np.mean(flips["anywhere"]))),
        Control("untrained model", float(np.mean(flips["untrained"]))),
    )
    return Score(effect, controls)


def _both_signs(values: np.ndarray, scale: float) -> bool:
    return bool((values > _FLIP * scale).any() and (values < -_FLIP * scale).any())


def _exponents(
    inside: pl.DataFrame, source: str, nulls: Sequence[str], name: str, where: Range, boot: dict[str, int]
) -> Score:
    """How far the exponent of a source is from that of the GFN2 couplings of the same pairs.

    A coupling is a second derivative: where an energy of a pair falls as r^n, its coupling falls as r^(n - 2). Terms
    are energies, so they are divided by the square of their distance first.
    """

    def both(source: str) -> tuple[Decay, Decay]:
        rows = inside.filter((pl.col(source) != 0) & (pl.col("gfn2_response") != 0))
        own = decay_from(rows, source)
        if not source.endswith("response"):
            own = replace(own, strength=own.strength / own.distance**2)
        return own, decay_from(rows, "gfn2_response")

    own, reference = both(source)
    effect = exponent_distance(name, own, reference, **boot)
    if not math.isfinite(effect.value):
        lacking = "gfn2_response" if inside["gfn2_response"].null_count() == len(inside) else source
        return Score(effect, missing=_few(inside, lacking, where))
    controls = [
        Control(word, abs(exponent(one) - exponent(other)))
        for word, (one, other) in zip(("shuffled terms", "untrained model"), map(both, nulls), strict=True)
    ]
    controls.append(Control("distance alone", abs(-1.0 - exponent(reference)), is_null=False))
    return Score(effect, tuple(controls))


def _growth(inside: pl.DataFrame, where: Range, boot: dict[str, int]) -> Score:
    """Largest local exponent of the windows in the range.

    The largest of several noisy numbers is too large. So one half of the molecules says which window it is, and the
    other half what the exponent is there; the mean of both ways round.
    """
    name = "largest local exponent (window chosen by the other half)"
    edges = np.arange(where.low, where.high - 0.5 * _WINDOW, _WINDOW)

    def local(decay: Decay) -> Float[np.ndarray, " W"]:
        return np.array([exponent(decay.between(a, a + _WINDOW), MIN_VALUES // 2) for a in edges])

    def largest(decay: Decay) -> float:
        odd = decay.molecule % 2 == 1
        first, second = (local(decay.only(half)) for half in (odd, ~odd))
        both = np.isfinite(first) & np.isfinite(second)
        if not both.any():
            return math.nan
        first, second = first[both], second[both]
        return float(second[first.argmax()] + first[second.argmax()]) / 2

    own = decay_from(inside, "term")
    effect = _bootstrapped(name, own, lambda drawn: largest(drawn(own)), **boot)
    if not math.isfinite(effect.value):
        return Score(effect, missing=_few(inside, "term", where))
    nulls = (("shuffled terms", "shuffled"), ("untrained model", "untrained"))
    controls = [Control(word, largest(decay_from(inside, source))) for word, source in nulls]
    controls.append(Control("GFN2 couplings", largest(decay_from(inside, "gfn2_response")), is_null=False))
    return Score(effect, tuple(controls))


def _at_cutoff(table: pl.DataFrame, where: Range, boot: dict[str, int]) -> dict[str, Score]:
    """What happens in the last half Å: extra steepening against the reference, share of strength, and an edge."""
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

    steep = _bootstrapped(names[0], own, lambda drawn: bend(drawn(own)) - bend(drawn(reference)), **boot)
    ended = _bootstrapped(names[1], own, lambda drawn: share(drawn(own)), **boot)
    all_terms = decay_from(rows, "term")
    name = "height of the edge at the cutoff"
    sharp = _bootstrapped(name, all_terms, lambda drawn: edge(drawn(all_terms)), **boot)
    n_last, missing = int((both["distance"] >= start).sum()), ""
    if not math.isfinite(steep.value):
        known = both["gfn2_response"].len() > 0
        missing = (
            f"only {n_last} pairs in the last {CUTOFF_ZONE:g} Å before the cutoff; a slope needs {MIN_VALUES}"
            if known
            else _few(rows, "gfn2_response", where)
        )
    few_at_edge = "" if math.isfinite(sharp.value) else "too few pairs in the last 0.1 Å before the cutoff"
    if where.long_range:
        few_at_edge = "the model has energies of all pairs, which go on beyond the cutoff"
    # The cutoff function is built in: a model that has learned nothing bends and goes to zero as smoothly.
    untrained = [Control("untrained model", value(fresh), is_null=False) for value in (bend, share, edge)]
    untrained[0] = Control("untrained model", bend(fresh) - bend(reference), is_null=False)
    shuffled = Control("shuffled terms", edge(decay_from(rows, "shuffled")))
    return {
        "steepening": Score(steep, (untrained[0],), missing),
        "cutoff_share": Score(
            ended, (untrained[1], Control("GFN2 couplings", share(reference), is_null=False)), missing
        ),
        "edge": Score(sharp, (shuffled, untrained[2]), few_at_edge),
    }


def _bootstrapped(
    name: str, decay: Decay, statistic: Callable[[Callable[[Decay], Decay]], float], *, seed: int, n_resamples: int
) -> Effect:
    """Bootstrap a statistic, which is handed what draws rows from `decay` and from others with the same rows."""
    n = int(decay.molecule.max()) + 1 if len(decay) else 0
    rows = Rows(decay.molecule, n)

    def of_drawn(drawn: Int[np.ndarray, " m"]) -> float:
        chosen = rows.of(drawn)
        return statistic(lambda d: Decay(d.distance[chosen], d.strength[chosen], d.group[chosen], d.molecule[chosen]))

    return molecule_effect(name, of_drawn, n, seed=seed, n_resamples=n_resamples)


def _few(table: pl.DataFrame, source: str, where: Range) -> str:
    """Why a source has no slope in the range."""
    n = len(table) - table[source].null_count()
    if n == 0 and source != "term":
        return f"no values of {source.replace('_', ' ')} to compare with"
    if where.high <= where.low and where.trained > where.high:
        end = where.cutoff - CUTOFF_ZONE
        return (
            f"non-bonded pairs from {where.low:g} Å on are needed, and the cutoff bends all terms from {end:.3g} Å on"
        )
    if where.high <= where.low:
        return f"non-bonded pairs from {where.low:g} Å on are needed, and the structures end at {where.trained:.3g} Å"
    return f"only {n} non-bonded pairs from {where}; a slope needs {MIN_VALUES}"
