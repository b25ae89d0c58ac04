"""Units of data at the border: files speak theirs, data sets speak eV, Å and e."""

from __future__ import annotations

from collections.abc import Mapping

from ase import units

from atomlens.models import ENERGY_UNITS
from atomlens.structures import InputError

LENGTH_UNITS: dict[str, float] = {"Ang": 1.0, "Å": 1.0, "A": 1.0, "Angstrom": 1.0, "Bohr": units.Bohr, "a0": units.Bohr}


def energy_factor(unit: str) -> float:
    """Factor from an energy unit to eV.

    Raises
    ------
    InputError
        If the unit is unknown.

    Examples
    --------
    >>> energy_factor("meV")
    0.001
    """
    return _factor("energy", unit, ENERGY_UNITS)


def length_factor(unit: str) -> float:
    """Factor from a length unit to Å.

    Raises
    ------
    InputError
        If the unit is unknown.
    """
    return _factor("length", unit, LENGTH_UNITS)


def force_factor(unit: str) -> float:
    """Factor from a force unit, written energy/length, to eV/Å; a missing length means Å.

    Raises
    ------
    InputError
        If the unit is unknown.

    Examples
    --------
    >>> force_factor("eV/Ang"), round(force_factor("kcal/mol/Ang"), 4), round(force_factor("Hartree/Bohr"), 2)
    (1.0, 0.0434, 51.42)
    """
    energy, _, length = unit.rpartition("/")
    if length.lower() in {name.lower() for name in LENGTH_UNITS}:
        return energy_factor(energy) / length_factor(length)
    return energy_factor(unit)


def shown(value: float, unit: str) -> tuple[float, str]:
    """A value in the unit that people quote it in: meV for eV, meV/Å for eV/Å, else unchanged.

    Examples
    --------
    >>> shown(0.25, "eV/Å")
    (250.0, 'meV/Å')
    >>> shown(0.25, "D")
    (0.25, 'D')
    """
    if unit == "eV" or unit.startswith("eV/"):
        return 1e3 * value, f"m{unit}"
    return value, unit


def _factor(kind: str, unit: str, factors: Mapping[str, float]) -> float:
    known = {name.lower(): factor for name, factor in factors.items()}
    if unit.lower() not in known:
        raise InputError(f"{kind} unit {unit!r} is not known; use one of {', '.join(factors)}")
    return known[unit.lower()]
