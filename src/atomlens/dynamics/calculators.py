"""Models as ASE calculators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from atomlens.dynamics.energies import energy_forces_stress, energy_unit
from atomlens.potentials import AnyModel


class AtomlensCalculator(Calculator):
    """A model as an ASE calculator: energy in eV, forces in eV/Å, and stress in eV/Å^3 for cells.

    Parameters
    ----------
    model
        A model whose output is the energy of a structure, in any unit.

    Raises
    ------
    InputError
        If the model predicts something else.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, model: AnyModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not hasattr(model, "facts"):
            raise TypeError(
                f"AtomlensCalculator received a {type(model).__name__}; load a model with atomlens.load_model(path)"
            )
        energy_unit(model)
        self.model = model

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results``; forces with every energy, stress where it is asked for."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        stress = "stress" in properties
        if stress and self.atoms.cell.rank < 3:
            raise PropertyNotImplementedError("stress needs a cell of three vectors; the structure has none")
        found = energy_forces_stress(self.model, self.model.graph(self.atoms), stress=stress)
        energy = float(found.energy[0])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": found.forces.cpu().numpy().astype(np.float64),
        }
        if found.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(found.stress[0].cpu().numpy().astype(np.float64))
