"""Worlds whose truth is known: what a model would be like, and what must come out of every claim about it.

A world of a claim is one of three: it agrees by a clear margin, it deviates by one, or nothing can be known of it
(nothing was learned, or the truth lies on the limit itself). Sizes are those of an analysis of a small data set: some
tens of molecules. `benchmarks/verdicts.py` counts how often the verdict is right; the tests run a few worlds of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from atomlens.analyses import Finding, Outcome

A, D, C = Outcome.AGREES, Outcome.DEVIATES, Outcome.CANNOT_TELL


@dataclass(frozen=True)
class World:
    """One made-up truth.

    Attributes
    ----------
    name
        What is true in it.
    expected
        By claim ("decay/law"), what must come out.
    make
        Draws data of it and judges them: findings by claim.
    """

    name: str
    expected: Mapping[str, Outcome]
    make: Callable[[np.random.Generator], Mapping[str, Finding]]


def all_worlds() -> list[World]:
    """Every world of every question."""
    from made_up_contacts import WORLDS as CONTACTS
    from made_up_decay import WORLDS as DECAY
    from made_up_others import WORLDS as OTHERS
    from made_up_smoothness import WORLDS as SMOOTHNESS
    from made_up_species import WORLDS as SPECIES
    from made_up_three_bodies import WORLDS as THREE_BODIES

    return [*DECAY, *CONTACTS, *SPECIES, *OTHERS, *SMOOTHNESS, *THREE_BODIES]
