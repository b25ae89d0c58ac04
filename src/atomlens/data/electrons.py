"""Total charge and unpaired electrons of a structure: what it comes with, and what is asked for."""

from __future__ import annotations

import ase
import numpy as np

from atomlens.structures import InputError, unpaired_electrons

_MOST = 100


def electrons_of(source: str, atoms: ase.Atoms, charge: int | None, uhf: int | None) -> tuple[int, int]:
    """Total charge in e and number of unpaired electrons: what is asked for must be what the structure comes with.

    Parameters
    ----------
    source
        SMILES string or file of the structure, for messages.
    atoms
        The structure as it was read; ``info["charge"]``, ``info["uhf"]`` and ``info["multiplicity"]`` count.
    charge, uhf
        What is asked for; None for what the structure comes with, and 0 where it does not say.

    Raises
    ------
    InputError
        If the structure says something else, or no whole number.

    Examples
    --------
    >>> electrons_of("water.xyz", ase.Atoms("OH2"), None, None)
    (0, 0)
    >>> electrons_of("water.xyz", ase.Atoms("OH2", info={"charge": 2, "multiplicity": 3}), 2, None)
    (2, 2)
    """
    return (
        _agreed(source, "charge", "total charge", charge, _stated(source, atoms, "charge", -_MOST)),
        _agreed(source, "uhf", "number of unpaired electrons", uhf, _unpaired(source, atoms)),
    )


def electrons_text(charge: int, uhf: int) -> str:
    """What a run says of its electrons.

    Examples
    --------
    >>> electrons_text(-2, 0)
    'charge −2 e, no unpaired electrons'
    """
    signed = f"{charge:+d}".replace("-", "−") if charge else "0"
    return f"charge {signed} e, {uhf or 'no'} unpaired electron{'' if uhf == 1 else 's'}"


def _agreed(source: str, option: str, what: str, asked: int | None, stated: int | None) -> int:
    if asked is not None and stated is not None and asked != stated:
        raise InputError(
            f"{source}: its {what} is {stated}, asked for --{option} {asked}; leave --{option} out or change the source"
        )
    return next((value for value in (asked, stated) if value is not None), 0)


def _unpaired(source: str, atoms: ase.Atoms) -> int | None:
    if (of_smiles := unpaired_electrons(atoms)) is not None:
        return of_smiles
    if (uhf := _stated(source, atoms, "uhf", 0)) is not None:
        return uhf
    multiplicity = _stated(source, atoms, "multiplicity", 1)
    return None if multiplicity is None else multiplicity - 1


def _stated(source: str, atoms: ase.Atoms, name: str, low: int) -> int | None:
    given = atoms.info.get(name)
    if given is None:
        return None
    if (
        not isinstance(given, int | float | np.integer | np.floating)
        or not low <= given <= _MOST
        or given != int(given)
    ):
        raise InputError(f"{source}: its {name} is {str(given)[:40]!r}; give a whole number from {low} to {_MOST}")
    return int(given)
