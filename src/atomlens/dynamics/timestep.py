r"""How long a time step may be, told from the lightest element.

Velocity Verlet follows an oscillator of period :math:`T` only for steps below :math:`T / \pi`: beyond that its energy
grows without bound, whatever the model (Leach, *Molecular Modelling*, 2nd ed., section 7.3.4; exact for a harmonic
bond, and the same for Langevin dynamics, whose kicks are Verlet's). Sampling is good well before, with some ten steps
per period. The fastest motion is the stretch of the bond between the lightest atoms, as :math:`T` grows with the root
of their reduced mass. For each row of the periodic table the strongest bond among its elements sets the period:

* hydrogen: O-H, 3,700 cm⁻¹, 9 fs;
* Li to Ne: N≡N, 2,330 cm⁻¹, 14 fs;
* heavier elements: P≡P, 780 cm⁻¹, 43 fs (wavenumbers: NIST Chemistry WebBook).

A ninth of it is the longest step that is taken for sound: 1 fs with hydrogen, the usual rule, 1.5 fs for Li to Ne, and
4.7 fs for heavier ones. Up to a sixth, 1.5 fs with hydrogen, energies drift a little (water of GFN2-xTB, NVE from
500 K: 1.8 meV in 1 ps at 1.5 fs, 0.4 meV at 1.1 fs) and molecules do not break by it; beyond, a model is not blamed
for what breaks. A mass that was changed, such as that of deuterium, is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Int

# Last atomic number of a row of the periodic table, and the period in fs of the strongest bond in it.
_PERIODS = ((2, 9.0), (10, 14.0), (len(chemical_symbols), 43.0))
_STEPS_PER_PERIOD = 9
# With fewer steps per period a hot bond, which is not harmonic, may go beyond Verlet's limit: a model is not blamed.
_BLAMELESS = 6


def longest_step(numbers: Sequence[int] | Int[np.ndarray, " N"]) -> float:
    """The longest sound time step in fs for a molecule of these elements (atomic numbers).

    Examples
    --------
    >>> [round(longest_step(numbers), 2) for numbers in ([6, 1], [6, 8], [17, 17])]
    [1.0, 1.56, 4.78]
    """
    return _period(numbers) / _STEPS_PER_PERIOD


def step_too_long(numbers: Sequence[int] | Int[np.ndarray, " N"], timestep: float) -> str:
    """Why a model is not to be blamed at a time step in fs, a clause; empty where the step is short enough for that.

    Examples
    --------
    >>> step_too_long([6, 1, 1, 1, 1], 1.5), step_too_long([6, 1, 1, 1, 1], 5.0)
    ('', 'a time step of 5 fs is too long for H, whose fastest bonds take 9 fs to vibrate; use 1 fs or less')
    """
    return _clause(numbers, timestep, "too long") if timestep > _period(numbers) / _BLAMELESS else ""


def step_warning(numbers: Sequence[int] | Int[np.ndarray, " N"], timestep: float) -> str:
    """What to expect of a time step in fs that is longer than `longest_step`, a sentence; empty where it is not.

    Examples
    --------
    >>> step_warning([8, 1, 1], 1.2)
    'a time step of 1.2 fs is long for H, whose fastest bonds take 9 fs to vibrate; use 1 fs or less: energies drift'
    """
    if timestep <= longest_step(numbers):
        return ""
    if not (said := step_too_long(numbers, timestep)):
        return f"{_clause(numbers, timestep, 'long')}: energies drift"
    alone = timestep > _period(numbers) / np.pi
    return f"{said}: molecules {'break by it alone' if alone else 'may break by it'}, with any model"


def _clause(numbers: Sequence[int] | Int[np.ndarray, " N"], timestep: float, how: str) -> str:
    return (
        f"a time step of {timestep:g} fs is {how} for {chemical_symbols[min(numbers)]}, whose fastest bonds take "
        f"{_period(numbers):g} fs to vibrate; use {math.floor(10 * longest_step(numbers)) / 10:g} fs or less"
    )


def _period(numbers: Sequence[int] | Int[np.ndarray, " N"]) -> float:
    """Period in fs of the fastest bond of the lightest element."""
    return next(period for last, period in _PERIODS if min(numbers) <= last)
