"""An ASE calculator whose energy is a law of the distance of every pair of atoms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Pairs(Calculator):
    """Energies of pairs: a law of the distance, with forces by differences."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    difference = 1e-5  # Å

    def __init__(self, law: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self._law = law

    def law(self, r: np.ndarray) -> np.ndarray:
        """Energy of a pair."""
        return self._law(r)

    def energy(self, r: np.ndarray) -> float:
        """Energy of all pairs, from their distances."""
        return float(self.law(r).sum())

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        i, j = np.triu_indices(len(self.atoms), 1)
        line = self.atoms.positions[j] - self.atoms.positions[i]
        r = np.linalg.norm(line, axis=1)
        slope = (self.law(r + self.difference) - self.law(r - self.difference)) / (2 * self.difference)
        forces = np.zeros((len(self.atoms), 3))
        pull = (slope / r)[:, None] * line
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        self.results = {"energy": self.energy(r), "forces": forces}
