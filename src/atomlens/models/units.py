"""Units at the border: models speak their own, everything after speaks eV and Å."""

from __future__ import annotations

from ase import units

# Energy units by the names that files use, in eV. Per mole and per particle mean the same.
ENERGY_UNITS: dict[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
    "Ha": units.Hartree,
    "Ry": units.Rydberg,
}


def to_internal(unit: str) -> tuple[float, str]:
    """Factor from `unit` to the internal unit, and that unit's name.

    Energies go to eV; every other unit (D, e*Å, a0^3, cal/mol/K, ...) is kept, with a factor of one.

    Examples
    --------
    >>> to_internal("eV")
    (1.0, 'eV')
    >>> to_internal("D")
    (1.0, 'D')
    """
    if unit in ENERGY_UNITS:
        return ENERGY_UNITS[unit], "eV"
    return 1.0, unit
