"""GROMACS' .gro files: fixed columns, lengths in nm, any number of frames, no elements but those of names."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np

from atomlens.structures.errors import InputError
from atomlens.structures.notes import add_note
from atomlens.structures.pdb import element_of_name

_NM = 10.0  # Å
_NAMES = "elements are taken from atom names (a .gro file has no others)"


def read_gro(lines: Sequence[str]) -> list[ase.Atoms]:
    """Every frame of a .gro file (https://manual.gromacs.org/current/reference-manual/file-formats.html#gro).

    Velocities are left out. A box of zeros is no crystal.

    Raises
    ------
    InputError
        If a line cannot be read, or a name means no element or two; the line is named.
    """
    found, start = [], 0
    while start < len(lines) and any(line.strip() for line in lines[start:]):
        found.append(_frame(lines, start))
        start += len(found[-1]) + 3
    return found


def _frame(lines: Sequence[str], start: int) -> ase.Atoms:
    count = lines[start + 1].strip() if start + 1 < len(lines) else ""
    if not (count.isascii() and count.isdigit() and len(count) < 12):
        raise InputError(f"line {start + 2} ({count[:40]!r}) is no number of atoms; not a .gro file, or truncated")
    first, n = start + 2, int(count)
    if first + n >= len(lines):
        raise InputError(f"breaks off within the frame of line {start + 1}; the file is truncated")
    rows = range(first, first + n)
    symbols = [_element(lines[k], k + 1) for k in rows]
    atoms = ase.Atoms(symbols, _NM * np.array([_position(lines[k], k + 1) for k in rows]).reshape(-1, 3))
    atoms.set_array("residuenames", np.array([lines[k][5:10].strip() for k in rows]), str, ())
    atoms.set_array("residuenumbers", np.array([_whole(lines[k][:5], k + 1) for k in rows]), int, ())
    _set_box(atoms, lines[first + n], first + n + 1)
    add_note(atoms, _NAMES)
    return atoms


def _element(line: str, number: int) -> str:
    try:
        return element_of_name(line[10:15].strip(), line[5:10].strip())
    except InputError as error:
        raise InputError(f"line {number} ({line[:20].rstrip()!r}): {error}") from error


def _position(line: str, number: int) -> list[float]:
    """Coordinates in nm; their columns are as wide as the distance of their decimal points."""
    points = [k for k, letter in enumerate(line) if letter == "." and k > 19]
    try:
        width = points[1] - points[0]
        position = [float(line[20 + width * k : 20 + width * (k + 1)]) for k in range(3)]
    except (IndexError, ValueError):
        raise InputError(f"line {number} ({line[:60].rstrip()!r}) has no three coordinates from column 21 on") from None
    return position


def _whole(text: str, number: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"line {number} ({text!r}) begins with no residue number") from None


def _set_box(atoms: ase.Atoms, line: str, number: int) -> None:
    """The cell from v1(x) v2(y) v3(z) v1(y) v1(z) v2(x) v2(z) v3(x) v3(y), in nm; the last six may be left out."""
    try:
        box = [float(word) for word in line.split()]
        if len(box) not in (3, 9):
            raise ValueError
    except ValueError:
        raise InputError(f"line {number} ({line[:60].strip()!r}) is no box of 3 or 9 lengths; truncated?") from None
    if any(box):
        cell = np.diag(box[:3])
        if len(box) == 9:
            cell[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]] = box[3:]
        atoms.set_cell(_NM * cell)
        atoms.set_pbc(True)
