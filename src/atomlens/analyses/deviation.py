r"""One number for how far a model is from known chemistry, from the analyses alone.

.. math:: D = \frac{\sum_k w_k\, d_k}{\sum_k w_k}, \qquad
    d_k = \min\Big(1, \frac{\max(0, \pm(\text{ideal}_k - \text{score}_k))}{\text{scale}_k}\Big)

over the parts that could be measured. The parts, their ideals, scales and weights below are our choice. They were
written down before any simulation was compared with them, and none was fitted to anything (docs/deviation-score.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from atomlens.analyses.pair_scores import Score


@dataclass(frozen=True)
class Part:
    """One part of the score.

    Attributes
    ----------
    question, key
        Which score of which result it reads.
    ideal
        The score of a model without fault.
    scale
        Distance from the ideal at which the part is 1.
    weight
        Its weight.
    high_is_good
        Whether scores above the ideal are as good as the ideal, or scores below it.
    meaning
        What it holds against the model.
    """

    question: str
    key: str
    ideal: float
    scale: float
    weight: float
    high_is_good: bool
    meaning: str


PARTS = (
    Part("species", "orders_all", 1.0, 1.0, 1.0, True, "strength does not rank as GFN2 bond orders do, all pairs"),
    Part("species", "topology", 1.0, 0.5, 1.0, True, "pairs with more bonds between them are as strong"),
    Part("species", "bond_sign", 1.0, 1.0, 1.0, True, "bonds do not stabilise"),
    Part(
        "decay", "exponent_response", 0.0, 1.0, 2.0, False, "response couplings fall with another exponent than GFN2's"
    ),
    Part("decay", "exponent", 0.0, 4.0, 1.0, False, "pair terms fall with another exponent than GFN2's couplings"),
    Part("decay", "growth", 0.0, 4.0, 1.0, False, "pair terms grow with distance somewhere"),
    Part("decay", "steepening", 0.0, 40.0, 1.0, True, "the cutoff cuts the tail short"),
    Part("decay", "dimer_exponent", 0.0, 20.0, 1.0, False, "terms of two molecules fall with another exponent"),
    Part("decay", "sign", 0.0, 1.0, 1.0, False, "terms of two molecules change sign where GFN2's energy does not"),
)


@dataclass(frozen=True)
class Deviation:
    """The score of a model, 0 without fault to 1, with its parts.

    Attributes
    ----------
    value
        D; NaN if no part could be measured.
    parts
        d by ``question/key``; NaN for parts that could not be measured.
    n_measured
        How many parts went into it.
    """

    value: float
    parts: dict[str, float]
    n_measured: int


def deviation_score(species: Mapping[str, Score], decay: Mapping[str, Score]) -> Deviation:
    """The deviation score of a model; parts without a score are left out.

    Parameters
    ----------
    species, decay
        ``scores`` of a `SpeciesResult` and of a `DecayResult`; empty for a question that was not asked.
    """
    scores = {"species": species, "decay": decay}
    parts = {f"{part.question}/{part.key}": _distance(part, scores[part.question].get(part.key)) for part in PARTS}
    known = [(part.weight, d) for part, d in zip(PARTS, parts.values(), strict=True) if math.isfinite(d)]
    weights = sum(weight for weight, _ in known)
    value = sum(weight * d for weight, d in known) / weights if known else math.nan
    return Deviation(value, parts, len(known))


def _distance(part: Part, score: Score | None) -> float:
    if score is None or score.missing or not math.isfinite(score.effect.value):
        return math.nan
    short = part.ideal - score.effect.value if part.high_is_good else score.effect.value - part.ideal
    return min(1.0, max(0.0, short) / part.scale)
