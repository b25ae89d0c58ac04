"""Calculators whose ways out and walls are known."""

from __future__ import annotations

import math

from ase.calculators.calculator import Calculator
from ase.calculators.morse import MorsePotential

from atomlens.potentials import CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin

DEPTH, STEEP, LENGTH = 4.0, 1.4, 0.74


def morse() -> MorsePotential:
    return MorsePotential(epsilon=DEPTH, rho0=STEEP * LENGTH, r0=LENGTH, rcut1=20.0, rcut2=30.0)


def morse_energy(change: float) -> float:
    """D (1 - exp(-a Δr))² of a bond changed by Δr."""
    return DEPTH * (1.0 - math.exp(-STEEP * change)) ** 2


def opened(calculator: Calculator) -> CalculatorModel:
    return CalculatorModel(calculator, CalculatorOrigin("made:up"))
