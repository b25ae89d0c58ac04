"""Calculators of other people, made to answer in one way: an energy and forces, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from atomlens.potentials.imported import described
from atomlens.structures import InputError


class CalculatorFailed(InputError):
    """A calculator gave no energy, or no forces, of a structure; others may do better."""


class Guarded(Calculator):
    """A calculator whose every failure is a `CalculatorFailed` that names it.

    Parameters
    ----------
    calculator
        Someone else's; energies in eV and forces in eV/Å. It is asked about copies without constraints.
    name
        What the user calls it.

    Raises
    ------
    CalculatorFailed
        From every calculation, if the calculator raises, or gives no single finite energy or no finite forces of
        shape (N, 3).
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, calculator: Calculator, name: str) -> None:
        super().__init__()
        self.inner, self.named = calculator, name

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results`` with the energy, and with forces where they are asked for."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        work = self.atoms.copy()
        work.set_constraint()
        work.calc = self.inner
        try:
            energy = np.asarray(work.get_potential_energy(), dtype=np.float64)
            forces = np.array(work.get_forces(), dtype=np.float64) if "forces" in properties else None
        except InputError as error:  # of a box: it says what to do
            raise CalculatorFailed(str(error)) from error
        except Exception as error:  # someone else's code may raise anything
            raise CalculatorFailed(f"{self.named} failed ({described(error)})") from error
        if energy.size != 1:
            raise CalculatorFailed(f"{self.named} gives an energy of shape {energy.shape}; one number in eV is needed")
        if forces is not None and forces.shape != (len(work), 3):
            raise CalculatorFailed(f"{self.named} gives forces of shape {forces.shape}; ({len(work)}, 3) is needed")
        if not (np.isfinite(energy).all() and (forces is None or np.isfinite(forces).all())):
            raise CalculatorFailed(f"{self.named} gives an energy or force that is not finite")
        self.results = {"energy": energy.item()} | ({} if forces is None else {"forces": forces})
