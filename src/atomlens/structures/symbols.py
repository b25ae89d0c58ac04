"""From the label of an atom in a file to its element."""

from __future__ import annotations

import re
from collections.abc import Mapping

import ase
import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from atomlens.structures.errors import InputError

ELEMENTS = frozenset(chemical_symbols[1:])
# Masses of hydrogen's isotopes in amu (CODATA 2018, rounded); networks see elements only, dynamics see masses.
_ISOTOPES = {"D": 2.0141, "T": 3.0160}
# An element, and what programs append to it: a number (C1, O_2, H-3), one letter after it (C1A), or a charge (Fe3+).
_LABEL = re.compile(r"([A-Za-z]{1,2})(?:[_-]?\d{1,5}[A-Za-z]?'?|\d*[+-]|[+-]\d)?")
_NUMBERED_ISOTOPE = re.compile(r"(\d{1,3})([A-Z][a-z]?)")


def element_of(label: str) -> tuple[str, float | None]:
    """Element of an atom's label, and its mass in amu where the label names an isotope.

    Known are symbols in any case, atomic numbers, symbols with a number or charge behind them, D and T, and isotopes
    such as 13C (whose mass is taken as the whole number). Capitals with a number, such as HG1, may mean mercury
    or a hydrogen of that name, and are refused.

    Raises
    ------
    InputError
        If the label names no element, or may name two.

    Examples
    --------
    >>> element_of("Cl2"), element_of("6"), element_of("D")
    (('Cl', None), ('C', None), ('H', 2.0141))
    """
    if label in ELEMENTS:
        return label, None
    if label.isascii() and label.isdigit():
        if len(label) <= 3 and 1 <= int(label) < len(chemical_symbols):
            return chemical_symbols[int(label)], None
        raise InputError(f"{_shown(label)} is no atomic number")
    if match := _NUMBERED_ISOTOPE.fullmatch(label):
        mass, symbol = int(match[1]), match[2]
        if symbol in ELEMENTS and atomic_numbers[symbol] <= mass <= 3 * atomic_numbers[symbol]:
            return symbol, float(mass)
    match = _LABEL.fullmatch(label)
    letters = match[1] if match else ""
    if letters.upper() in _ISOTOPES:
        return "H", _ISOTOPES[letters.upper()]
    symbol = letters.capitalize()
    if symbol not in ELEMENTS:
        raise InputError(f"{_shown(label)} is no element; write a chemical symbol or an atomic number")
    if len(letters) == 2 and letters.isupper() and len(label) > 2 and letters[0] in ELEMENTS:
        raise InputError(f"{_shown(label)} may mean {symbol} or {letters[0]}; write the chemical symbol alone")
    return symbol, None


def set_isotopes(atoms: ase.Atoms, masses: Mapping[int, float]) -> None:
    """Give some atoms, by their places, the masses of their isotopes in amu."""
    if masses:
        every = np.array(atoms.get_masses(), dtype=np.float64)
        every[list(masses)] = list(masses.values())
        atoms.set_array("masses", every, float, ())


def _shown(label: str) -> str:
    return repr(label if len(label) <= 20 else f"{label[:17]}...")
