"""LAMMPS' files number their atom types, and a type is no element."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from atomlens.structures.errors import InputError
from atomlens.structures.files import decoded, open_lines

_DUMP, _BINARY, _DATA = "lammps-dump-text", "lammps-dump-binary", "lammps-data"


def check_lammps(path: Path) -> None:
    """Refuse a file of LAMMPS that says types alone, which ASE would read as H, He, Li, ...

    Raises
    ------
    InputError
        If a dump has neither a column of elements nor one of masses, or a data file neither masses nor labels of types.
    """
    from ase.io.formats import filetype  # loads SciPy, which takes half a second

    kind = ""
    with suppress(Exception):  # whatever ASE's guessing meets: then it is none of LAMMPS'
        kind = filetype(str(path))
    if kind == _BINARY or (kind == _DUMP and not _says_elements(path)):
        raise InputError(
            f"{path}: a LAMMPS dump that numbers atom types and names no elements; write it with the column element: "
            "dump 1 all custom 100 FILE id type element x y z, and dump_modify 1 element O H"
        )
    if kind == _DATA and not _says_masses(path):
        raise InputError(
            f"{path}: a LAMMPS data file that numbers atom types and names no elements; it needs a section Masses "
            "or Atom Type Labels"
        )


def _says_elements(path: Path) -> bool:
    with open_lines(path) as file:
        for line in file:
            words = decoded(line).split()
            if words[:2] == ["ITEM:", "ATOMS"]:
                return "element" in words or "mass" in words
    return True  # no atoms: ASE says what is wrong


def _says_masses(path: Path) -> bool:
    with open_lines(path) as file:
        heads = {" ".join(decoded(line).split("#")[0].split()) for line in file}
    return "Masses" in heads or "Atom Type Labels" in heads
