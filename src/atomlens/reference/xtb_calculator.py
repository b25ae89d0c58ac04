"""GFN2-xTB as an ASE calculator, for dynamics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
from ase.calculators.calculator import Calculator, all_changes

from atomlens.reference.xtb import Gfn2, electrons


class Gfn2Calculator(Calculator):
    """GFN2-xTB for ASE: energy in eV, forces in eV/Å, charges in e, dipole in e·Å, ``results["bond_orders"]``.

    Steps of one molecule start from the density of the step before.

    Parameters
    ----------
    charge, uhf
        As of `Gfn2`.

    Raises
    ------
    ReferenceUnavailable
        From every calculation, as in `Gfn2`.
    """

    implemented_properties = ["energy", "free_energy", "forces", "charges", "dipole"]  # noqa: RUF012

    def __init__(self, charge: int | None = None, uhf: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._charge, self._uhf = charge, uhf
        self._xtb: Gfn2 | None = None

    def check(self, atoms: ase.Atoms) -> None:
        """Raise `ReferenceUnavailable` if GFN2-xTB cannot be had for a molecule, before anything is computed."""
        Gfn2(atoms, self._charge, self._uhf)

    def check_state(self, atoms: ase.Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; ASE does not look at charge and spin in ``atoms.info``."""
        changes = super().check_state(atoms, tol)
        if self._has_other_electrons(atoms):
            changes.append("initial_charges")
        return changes

    def _has_other_electrons(self, atoms: ase.Atoms) -> bool:
        xtb = self._xtb
        return xtb is not None and electrons(atoms, self._charge, self._uhf) != (xtb.charge, xtb.uhf)

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results``, all of them at once."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        if self._xtb is None or set(system_changes) - {"positions"} or self._has_other_electrons(self.atoms):
            self._xtb = Gfn2(self.atoms, self._charge, self._uhf)
        found = self._xtb.compute(self.atoms.positions)
        self.results = {
            "energy": found.energy,
            "free_energy": found.energy,
            "forces": found.forces,
            "charges": found.charges,
            "dipole": found.dipole,
            "bond_orders": found.bond_orders,
        }
