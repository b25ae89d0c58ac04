"""Total charge and unpaired electrons of a structure: what it comes with, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable

import ase

from atomlens.structures import InputError, stated_charge, unpaired_electrons


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
        _agreed(source, "charge", "total charge", charge, _of(source, stated_charge, atoms)),
        _agreed(source, "uhf", "number of unpaired electrons", uhf, _of(source, unpaired_electrons, atoms)),
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


def _of(source: str, stated: Callable[[ase.Atoms], int | None], atoms: ase.Atoms) -> int | None:
    try:
        return stated(atoms)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
