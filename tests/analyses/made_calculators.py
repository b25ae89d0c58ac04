"""ASE calculators whose energy is a function of the atoms."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from atomlens.potentials import CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin


class Made(Calculator):
    """An energy by a function; forces are zero."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, energy: Callable[[ase.Atoms], float]) -> None:
        super().__init__()
        self.energy_of = energy

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        self.results = {"energy": self.energy_of(self.atoms), "forces": np.zeros((len(self.atoms), 3))}  # pyright: ignore[reportArgumentType]


def calculated(energy: Callable[[ase.Atoms], float]) -> CalculatorModel:
    """The calculator, opened."""
    return CalculatorModel(Made(energy), CalculatorOrigin("made:up"))
