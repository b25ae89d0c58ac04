"""Calculators whose ways out and walls are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.morse import MorsePotential

from atomlens.potentials import CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin

DEPTH, STEEP, LENGTH = 4.0, 1.4, 0.74


def morse() -> MorsePotential:
    return MorsePotential(epsilon=DEPTH, rho0=STEEP * LENGTH, r0=LENGTH, rcut1=20.0, rcut2=30.0)


def morse_energy(change: float) -> float:
    """D (1 - exp(-a Δr))² of a bond changed by Δr."""
    return DEPTH * (1.0 - math.exp(-STEEP * change)) ** 2


class Pairs(Calculator):
    """Energies of pairs: a law of the distance, with forces by differences."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, law: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.law = law

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        i, j = np.triu_indices(len(self.atoms), 1)
        line = self.atoms.positions[j] - self.atoms.positions[i]
        r = np.linalg.norm(line, axis=1)
        slope = (self.law(r + 1e-5) - self.law(r - 1e-5)) / 2e-5
        forces = np.zeros((len(self.atoms), 3))
        pull = (slope / r)[:, None] * line
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        self.results = {"energy": float(self.law(r).sum()), "forces": forces}


def opened(calculator: Calculator) -> CalculatorModel:
    return CalculatorModel(calculator, CalculatorOrigin("made:up"))
