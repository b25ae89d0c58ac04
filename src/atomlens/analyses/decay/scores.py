"""Numbers about non-bonded pairs that the judgement of decay rests on, each with its interval and its controls."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.analyses.decay.distance_range import CUTOFF_ZONE, DecayRange
from atomlens.analyses.decay.laws import (
    MIN_VALUES,
    Decay,
    exponent,
    exponent_difference,
    exponent_effect,
    law_preference,
)
from atomlens.analyses.decay.pairs import decay_from
from atomlens.analyses.inputs import seed_columns
from atomlens.analyses.pair_scores import Score, shuffled_within
from atomlens.analyses.statistics import Rows, molecule_effect
from atomlens.analyses.verdict import Control, Effect, control_of

_WINDOW = 0.5
_N_SHUFFLES = 10
_WHAT = {"term": "terms", "model_response": "couplings"}


def score_pairs(table: pl.DataFrame, where: DecayRange, *, seed: int, n_resamples: int) -> dict[str, Score]:
    """Law and exponents of non-bonded pairs (`decay.pairs.non_bonded`) inside the range.

    ``law`` is the gain of power laws, ``reference_law`` that of GFN2 couplings, ``falls`` the local exponent of the
    terms; ``exponent`` (described, not judged) that of the couplings that terms would have, less GFN2's.
    """
    rng = np.random.default_rng(seed)
    frame = table["frame"].to_numpy()
    for source in ("term", "model_response"):
        known = table[source].is_not_null().to_numpy()
        values = table[source].to_numpy()[known].astype(float)
        for k in range(_N_SHUFFLES):
            shuffled = np.full(len(table), math.nan)
            shuffled[known] = shuffled_within(values, frame[known], rng)
            table = table.with_columns(pl.Series(f"shuffled_{source}/{k}", shuffled).fill_nan(None))
    inside = table.filter(pl.col("distance").is_between(where.low, where.high, closed="left"))
    boot = {"seed": seed, "n_resamples": n_resamples}
    law = law_preference("gain of power laws over exponentials", decay_from(inside, "term"), **boot)
    reference = law_preference(
        "gain of power laws over exponentials, GFN2", decay_from(inside, "gfn2_response"), **boot
    )
    once = {"seed": seed, "n_resamples": 2}
    return {
        "law": Score(
            law,
            nulls(inside, "term", lambda name: law_preference("", decay_from(inside, name), **once).value),
            "" if math.isfinite(law.value) else few(inside, "term", where),
            inapplicable=where.is_blind,
        ),
        "reference_law": Score(reference),
        "falls": Score(exponent_effect("local exponent of pair terms", decay_from(inside, "term"), **boot)),
        "exponent": _described_exponent(inside, where, boot),
        "exponent_response": _response_exponent(inside, where, boot),
        "growth": _growth(inside, where, boot),
    }


def nulls(table: pl.DataFrame, source: str, score: Callable[[str], float]) -> tuple[Control, Control]:
    """Scores of shuffled values and of untrained models; `score` takes the name of a column."""
    fresh = "untrained" if source == "term" else "untrained_response"
    return (
        control_of(f"shuffled {_WHAT[source]}", [score(name) for name in seed_columns(table, f"shuffled_{source}")]),
        control_of("untrained model", [score(name) for name in seed_columns(table, fresh)]),
    )


def _described_exponent(inside: pl.DataFrame, where: DecayRange, boot: dict[str, int]) -> Score:
    """Exponent of pair terms, with that of the GFN2 couplings of the same pairs beside it.

    No verdict: an energy and a second derivative have different exponents for most laws, and a model without any decay
    may be as near to the reference as a perfect one.
    """
    rows = inside.filter((pl.col("term") != 0) & (pl.col("gfn2_response") != 0))
    effect = exponent_effect("exponent of pair terms", decay_from(rows, "term"), **boot)
    if not math.isfinite(effect.value):
        lacking = "gfn2_response" if inside["gfn2_response"].null_count() == len(inside) else "term"
        return Score(effect, missing=few(inside, lacking, where), inapplicable=where.is_blind)
    known = Control("GFN2 couplings", exponent(decay_from(rows, "gfn2_response")), is_null=False)
    return Score(effect, (known,))


def _response_exponent(inside: pl.DataFrame, where: DecayRange, boot: dict[str, int]) -> Score:
    """Exponent of the model's couplings less that of GFN2's over the same pairs."""
    name, source = "exponent of the model's couplings less that of GFN2's", "model_response"

    def both(source: str) -> tuple[Decay, Decay]:
        rows = inside.filter((pl.col(source) != 0) & (pl.col("gfn2_response") != 0))
        return decay_from(rows, source), decay_from(rows, "gfn2_response")

    own, reference = both(source)
    effect = exponent_difference(name, own, reference, **boot)
    if not math.isfinite(effect.value):
        lacking = "gfn2_response" if inside["gfn2_response"].null_count() == len(inside) else source
        return Score(effect, missing=few(inside, lacking, where), inapplicable=where.is_blind)

    def difference(name: str) -> float:
        one, other = both(name)
        return exponent(one) - exponent(other)

    flat = exponent(reference)
    return Score(
        effect,
        (
            *(null for null in nulls(inside, source, difference) if where.has_terms or null.values),
            # A range in which the reference hardly falls cannot tell a model from one without decay.
            Control("no decay at all", -flat),
            Control("GFN2's exponent", flat, is_null=False),
        ),
    )


def _growth(inside: pl.DataFrame, where: DecayRange, boot: dict[str, int]) -> Score:
    """Largest local exponent of the windows in the range.

    The largest of several noisy numbers is too large. So one half of the molecules says which window it is, and the
    other half what the exponent is there; the mean of both ways round.
    """
    name = "largest local exponent (window chosen by the other half)"
    edges = np.arange(where.low, where.high - 0.5 * _WINDOW, _WINDOW)

    def local(decay: Decay) -> Float[np.ndarray, " W"]:
        r = decay.distance
        return np.array([exponent(decay.rows((r >= a) & (r < a + _WINDOW)), MIN_VALUES // 2) for a in edges])

    def largest(decay: Decay) -> float:
        odd = decay.molecule % 2 == 1
        first, second = (local(decay.rows(half)) for half in (odd, ~odd))
        both = np.isfinite(first) & np.isfinite(second)
        if not both.any():
            return math.nan
        first, second = first[both], second[both]
        return float(second[first.argmax()] + first[second.argmax()]) / 2

    own = decay_from(inside, "term")
    effect = bootstrapped(name, own, lambda drawn: largest(drawn(own)), **boot)
    if not math.isfinite(effect.value):
        return Score(effect, missing=few(inside, "term", where), inapplicable=where.is_blind)
    known = Control("GFN2 couplings", largest(decay_from(inside, "gfn2_response")), is_null=False)
    return Score(effect, (*nulls(inside, "term", lambda name: largest(decay_from(inside, name))), known))


def bootstrapped(
    name: str, decay: Decay, statistic: Callable[[Callable[[Decay], Decay]], float], *, seed: int, n_resamples: int
) -> Effect:
    """Bootstrap a statistic, which is handed what draws rows from `decay` and from others with the same rows."""
    n = int(decay.molecule.max()) + 1 if len(decay) else 0
    rows = Rows(decay.molecule, n)

    def of_drawn(drawn: Int[np.ndarray, " m"]) -> float:
        chosen = rows.of(drawn)
        return statistic(lambda d: d.rows(chosen))

    return molecule_effect(name, of_drawn, n, seed=seed, n_resamples=n_resamples)


def few(table: pl.DataFrame, source: str, where: DecayRange) -> str:
    """Why a source has no slope in the range."""
    n = len(table) - table[source].null_count()
    if n == 0 and source != "term" and len(table):
        return f"no values of {source.replace('_', ' ')} to compare with"
    if where.high <= where.low and where.trained > where.high:
        end = where.cutoff - CUTOFF_ZONE
        return (
            f"non-bonded pairs from {where.low:g} Å on are needed, and the cutoff bends all terms from {end:.3g} Å on"
        )
    if where.high <= where.low:
        return f"non-bonded pairs from {where.low:g} Å on are needed, and the structures end at {where.trained:.3g} Å"
    return f"only {n} non-bonded pairs from {where}; a slope needs {MIN_VALUES}"
