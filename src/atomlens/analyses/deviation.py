r"""One number for how far a model is from known chemistry, from the analyses alone.

.. math:: D = \frac{\sum_k w_k\, d_k}{\sum_k w_k}, \qquad
    d_k = \min\Big(1, \frac{\max(0, \pm(\text{ideal}_k - \text{score}_k))}{\text{scale}_k}\Big)

over the parts that could be measured: of a model alone, its own (`deviation_score`); of models that are compared, those
that all of them have (`common_deviations`). The parts, their ideals, scales and weights below are our choice. They were
written down before any simulation was compared with them, and none was fitted to anything (docs/deviation-score.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
        Whether scores above the ideal are as good as the ideal, or scores below it; None where either side is bad.
    meaning
        What it charges the model with.
    """

    question: str
    key: str
    ideal: float
    scale: float
    weight: float
    high_is_good: bool | None
    meaning: str


PARTS = (
    Part("species", "orders_all", 1.0, 1.0, 1.0, True, "strength does not rank as GFN2 bond orders do, all pairs"),
    Part("species", "topology", 1.0, 0.5, 1.0, True, "pairs with more bonds between them are as strong"),
    Part("species", "bond_sign", 1.0, 1.0, 1.0, True, "bonds do not stabilise"),
    Part(
        "decay", "exponent_response", 0.0, 1.0, 2.0, None, "response couplings fall with another exponent than GFN2's"
    ),
    Part("decay", "growth", 0.0, 4.0, 1.0, False, "pair terms grow with distance somewhere"),
    Part("decay", "dimer_exponent", 0.0, 20.0, 1.0, None, "terms of two molecules fall with another exponent"),
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
    parts = {_name(part): _distance(part, scores[part.question].get(part.key)) for part in PARTS}
    return Deviation(_mean(parts, set(parts)), parts, len(_measured(parts)))


def common_deviations(models: Sequence[Mapping[str, float | None]]) -> tuple[list[float], list[str]]:
    """Scores of models that are compared, from the parts that all of them have.

    Which parts a model lacks follows from its settings: terms of two molecules have no exponent where the cutoff ends
    before they part. A mean over whatever there is would compare models by different things.

    Parameters
    ----------
    models
        d of each model by ``question/key``, as in `Deviation.parts`; NaN or None for parts that could not be measured.

    Returns
    -------
    D of each model, and the names of the parts in it. NaN for a model without any part, which has no say in what the
    others have in common, and for all models where these have nothing in common.
    """
    measured = [_measured(parts) for parts in models]
    common = set.intersection(*known) if (known := [names for names in measured if names]) else set()
    scores = [_mean(parts, common) if names else math.nan for parts, names in zip(models, measured, strict=True)]
    return scores, [_name(part) for part in PARTS if _name(part) in common]


def _name(part: Part) -> str:
    return f"{part.question}/{part.key}"


def _measured(parts: Mapping[str, float | None]) -> set[str]:
    return {name for name, d in parts.items() if d is not None and math.isfinite(d)}


def _mean(parts: Mapping[str, float | None], names: set[str]) -> float:
    """Weighted mean over those of the named parts that were measured; NaN if none was."""
    known = [(part.weight, parts[_name(part)]) for part in PARTS if _name(part) in names & _measured(parts)]
    weights = sum(weight for weight, _ in known)
    return sum(weight * d for weight, d in known if d is not None) / weights if known else math.nan


def _distance(part: Part, score: Score | None) -> float:
    if score is None or score.missing or not math.isfinite(score.effect.value):
        return math.nan
    over = score.effect.value - part.ideal
    short = abs(over) if part.high_is_good is None else -over if part.high_is_good else over
    return min(1.0, max(0.0, short) / part.scale)
