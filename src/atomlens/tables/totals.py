"""Sums over the terms of a frame: by order, by distance, by bonds between the atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atomlens.tables.frame import ExplainedFrame
from atomlens.tables.surroundings import RELATIONS


@dataclass(frozen=True)
class Total:
    """Sum over a class of terms.

    Attributes
    ----------
    name
        Which terms.
    count
        How many.
    total
        Sum of their relevances, in the frame's unit.
    strength
        Sum of their absolute relevances.
    share
        Strength as a fraction of the strength of all classes that it was counted with.
    """

    name: str
    count: int
    total: float
    strength: float
    share: float


def order_totals(frame: ExplainedFrame) -> list[Total]:
    """One total for every order that was listed; the remainder is ``frame.interactions.remainder``."""
    relevance = [frame.interactions.order(n).relevance for n in range(1, frame.interactions.max_order + 1)]
    return _totals([f"order {n}" for n in range(1, len(relevance) + 1)], relevance)


def relation_totals(frame: ExplainedFrame) -> list[Total]:
    """Pair terms by the number of bonds between the two atoms, one total for each of `RELATIONS`."""
    if frame.interactions.max_order < 2:
        return []
    pairs = frame.interactions.order(2)
    relation = frame.surroundings.relations(pairs.atoms[:, 0], pairs.atoms[:, 1])
    return _totals(list(RELATIONS), [pairs.relevance[relation == k] for k in range(len(RELATIONS))])


def range_totals(frame: ExplainedFrame, width: float = 1.0) -> list[Total]:
    """Pair terms by distance, in bins of `width` Å, named by their limits ("1.0-2.0")."""
    if frame.interactions.max_order < 2:
        return []
    pairs = frame.interactions.order(2)
    if len(pairs.relevance) == 0:
        return []
    distance = frame.surroundings.distances(pairs.atoms[:, 0], pairs.atoms[:, 1])
    number = np.floor(distance / width).astype(int)
    bins = range(int(number.max()) + 1)
    return _totals(
        [f"{k * width:.1f}-{(k + 1) * width:.1f}" for k in bins], [pairs.relevance[number == k] for k in bins]
    )


def _totals(names: list[str], relevance: list[np.ndarray]) -> list[Total]:
    strengths = [float(np.abs(r).sum()) for r in relevance]
    everything = sum(strengths)
    return [
        Total(name, len(r), float(r.sum()), strength, strength / everything if everything > 0 else 0.0)
        for name, r, strength in zip(names, relevance, strengths, strict=True)
    ]
