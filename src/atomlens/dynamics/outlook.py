r"""Whether a simulation will keep a molecule whole, told from the thermal exit barrier, without dynamics.

The hazard :math:`h` of models (breaks per ps) follows their thermal exit barrier :math:`\Delta E_T`
(`atomlens.dynamics.exits`) by

.. math:: \ln h = a - b\, \Delta E_T / k_B T

a straight line through 48 models of ethanol, tested on 48 models of four other molecules that it was not made on. Both,
with all figures: docs/forecast.md. Nothing is known of more than 5 ps, and of molecules that a model breaks on ways
that no single bond or contact opens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Word = Literal["holds", "at risk", "breaks"]
# The registered line: ln of breaks per ps at a barrier of zero, and by how much it falls with every k_B T.
INTERCEPT, SLOPE = 1.175, 0.396
# For how long, in ps, replicas were watched.
WATCHED = 5.0
# As it is said of a molecule.
WORDS: dict[Word, str] = {"holds": "holds", "at risk": "is at risk", "breaks": "breaks"}
# How sure that is, by models and molecules that the line was not made on.
_TESTED = (
    "In a registered test on 48 models of four other molecules, the barrier picked the less stable of two models, one "
    "that lost half of its replicas and one that did not, in 97 % of pairs (95 % interval 91 to 100 %), the force "
    "error in 67 %."
)
HOW_SURE: dict[Word, str] = {
    "breaks": _TESTED,
    "at risk": _TESTED,
    "holds": "No model of the registered test had a barrier so high; in eight trials of shipped models that have, none "
    "of 128 replicas broke.",
}
# Logarithm of a hazard at which every replica breaks at once: more tells nothing, and soon is no number.
_MOST = 50.0
# Shares of replicas expected to break from which a molecule breaks, and below which it holds.
BREAKS, HOLDS = 0.5, 0.1


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of simulations at one temperature.

    Attributes
    ----------
    word
        ``breaks`` where half of the replicas or more are expected to break within 5 ps, ``holds`` where fewer than one
        in ten are, else ``at risk``.
    share
        The expected share of them.
    """

    word: Word
    share: float


def barrier_at(share: float) -> float:
    """Thermal exit barrier in units of k_B T at which a share of the replicas is expected to break within 5 ps.

    Examples
    --------
    >>> [round(barrier_at(share), 1) for share in (BREAKS, HOLDS)]
    [8.0, 12.7]
    """
    return (INTERCEPT - math.log(-math.log1p(-share) / WATCHED)) / SLOPE


def outlook(barrier: float) -> Outlook:
    """What a thermal exit barrier in units of k_B T lets expect.

    Examples
    --------
    >>> [outlook(barrier).word for barrier in (4.0, 10.0, 20.0)]
    ['breaks', 'at risk', 'holds']
    """
    hazard = math.exp(min(INTERCEPT - SLOPE * barrier, _MOST))
    share = -math.expm1(-hazard * WATCHED)
    return Outlook("breaks" if share >= BREAKS else "holds" if share < HOLDS else "at risk", share)
