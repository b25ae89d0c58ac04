"""Charge and unpaired electrons that a structure comes with: of its SMILES string, or of the file it was read from."""

from __future__ import annotations

import ase

from atomlens.structures.errors import InputError
from atomlens.structures.smiles import smiles_radicals
from atomlens.structures.whole import is_whole

_MOST = 100


def stated_charge(atoms: ase.Atoms) -> int | None:
    """Total charge in e, ``atoms.info["charge"]``; None where nothing is stated.

    Raises
    ------
    InputError
        If it is no whole number.
    """
    return _stated(atoms, "charge", -_MOST)


def unpaired_electrons(atoms: ase.Atoms) -> int | None:
    """Unpaired electrons: those of a SMILES string, else ``info["uhf"]`` or ``info["multiplicity"]`` - 1; else None.

    Raises
    ------
    InputError
        If what is stated is no whole number.

    Examples
    --------
    >>> unpaired_electrons(ase.Atoms("O2", info={"multiplicity": 3})), unpaired_electrons(ase.Atoms("O2"))
    (2, None)
    """
    if (radicals := smiles_radicals(atoms)) is not None:
        return radicals
    if (uhf := _stated(atoms, "uhf", 0)) is not None:
        return uhf
    multiplicity = _stated(atoms, "multiplicity", 1)
    return None if multiplicity is None else multiplicity - 1


def _stated(atoms: ase.Atoms, name: str, low: int) -> int | None:
    given = atoms.info.get(name)
    if given is None:
        return None
    if not is_whole(given) or not low <= given <= _MOST:
        raise InputError(f"its {name} is {str(given)[:40]!r}; give a whole number from {low} to {_MOST}")
    return int(given)
