"""Units of data at the border: files speak theirs, data sets speak eV, Å and e."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ase import units

from atomlens.models import ENERGY_UNITS
from atomlens.structures import InputError

LENGTH_UNITS: dict[str, float] = {"Ang": 1.0, "Å": 1.0, "A": 1.0, "Angstrom": 1.0, "Bohr": units.Bohr, "a0": units.Bohr}

# A unit by its name, or as a factor to eV, Å or eV/Å.
Unit = str | float | int


@dataclass(frozen=True)
class Units:
    """Units of a file, where the file does not say; None: the convention of its format (see `read_dataset`)."""

    energy: str | None = None
    length: str | None = None
    forces: str | None = None


def energy_factor(unit: Unit) -> float:
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


def length_factor(unit: Unit) -> float:
    """Factor from a length unit to Å.

    Raises
    ------
    InputError
        If the unit is unknown.
    """
    return _factor("length", unit, LENGTH_UNITS)


def force_factor(unit: Unit) -> float:
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
    if (number := _number(unit)) is not None:
        return number
    energy, _, length = str(unit).rpartition("/")
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


def unit_text(unit: Unit, base: str) -> str:
    """A unit as notes name it: its name, or how much of `base` it is.

    Examples
    --------
    >>> unit_text("kcal/mol", "eV"), unit_text(1.0, "eV"), unit_text(0.04336, "eV")
    ('kcal/mol', 'eV', '0.04336 eV')
    """
    number = _number(unit)
    if number is None:
        return str(unit)
    return base if number == 1.0 else f"{number:g} {base}"


def _number(unit: Unit) -> float | None:
    """A unit that is a factor, also where it is written as text."""
    try:
        number = float(unit)
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"unit {unit!r}: a factor must be positive and finite")
    return number


def _factor(kind: str, unit: Unit, factors: Mapping[str, float]) -> float:
    if (number := _number(unit)) is not None:
        return number
    known = {name.lower(): factor for name, factor in factors.items()}
    if str(unit).lower() not in known:
        raise InputError(f"{kind} unit {str(unit)[:50]!r} is not known; use one of {', '.join(factors)}")
    return known[str(unit).lower()]
