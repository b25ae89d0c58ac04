"""(Extended) xyz files as people have them, frame by frame: found by their places in the file, parsed one at a time.

Between frames may stand blank lines, cell vectors (``VEC1 ...``, which belong to the frame before), and the lines that
QM9's own files have after the atoms: frequencies, SMILES, InChI. What stands there otherwise is an error.
"""

from __future__ import annotations

import io
import re
from array import array
from collections import Counter
from typing import Any

import ase
import numpy as np
from ase.data import atomic_numbers
from jaxtyping import Int

from atomlens.structures.errors import InputError
from atomlens.structures.files import UTF8_MARK, decoded, lines_of
from atomlens.structures.notes import add_note
from atomlens.structures.symbols import ELEMENTS, element_of, set_isotopes

# Values in quotes, brackets or braces; and the names of values.
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|\{[^}]*\}|\[[^]]*\]""")
_NAME = re.compile(r"(?:^|\s)([^\s=]+)\s*=")
# Words of comments that mean another unit of length than Å.
_OTHER_UNIT = re.compile(r"\b(bohrs?|a\.u\.|atomic units?|nanomet(?:er|re)s?|nm)(?![A-Za-z])", re.IGNORECASE)
# A name of a value; and what ASE writes of molecules of which it knows nothing but elements and positions.
_KEY = re.compile(r"(?:^|\s)[A-Za-z_][\w.-]*\s*=")
_BARE = re.compile(r'(?:Properties=species:S:1:pos:R:3|pbc="F F F"|\s)*')
_PROPERTIES = re.compile(r"""\bProperties\s*=\s*["{]?([^\s"}]+)""")
_TRAILER = 3
# Exponents of Mathematica (1.5*^-6, in QM9's files) and Fortran (1.5D-06).
_EXPONENT = re.compile(r"(?<![A-Za-z])([-+]?(?:\d+\.?\d*|\.\d+))(?:\*\^|[dD])([-+]?\d+)(?=\s|$)")
# A file whose other numbers have so many decimals or more does not end in one with fewer.
_FIXED = 3


def frame_places(file: io.BufferedIOBase, name: str) -> Int[np.ndarray, "n 2"]:
    """First byte of each frame and the byte after its last.

    Parameters
    ----------
    file
        The file, from its beginning.
    name
        Its name, for errors.

    Raises
    ------
    InputError
        If the file is no xyz file, breaks off within a frame, or ends in a number that was cut off.
    """
    places = array("q")  # millions of them: 16 bytes per frame
    last = b"\n"
    while line := file.readline():
        start = file.tell() - len(line)
        if start == 0:
            start += len(UTF8_MARK) * line.startswith(UTF8_MARK)
            line = line.removeprefix(UTF8_MARK)
        if not line.strip():
            continue
        number = len(places) // 2
        if places and line.lstrip().startswith(b"VEC"):
            places[-1] = file.tell()
            continue
        count = line.strip()
        if not (count.isdigit() and len(count) < 19):
            if places and (end := _end_of_trailer(file, line)):
                places[-1] = end
                continue
            raise InputError(f"{name}: frame {number} does not begin with a number of atoms{_instead(file, start)}")
        for _ in range(int(count) + 1):
            last = file.readline()
            if not last:
                raise InputError(f"{name}: breaks off within frame {number}; the file is truncated")
        places.extend((start, file.tell()))
    if not places:
        raise InputError(f"{name}: holds no structure")
    found = np.frombuffer(places, dtype=np.int64).reshape(-1, 2)
    if not last.endswith(b"\n"):
        _check_end(file, found, name)
    return found


def _instead(file: io.BufferedIOBase, start: int) -> str:
    file.seek(start)
    line = decoded(file.readline()).strip()
    return f" (line {_lines_before(file, start) + 1}: {line[:40]!r})" if line.isprintable() else ""


def _end_of_trailer(file: io.BufferedIOBase, line: bytes) -> int | None:
    """End of the three lines that QM9's files have after the atoms, if `line` is the first of them."""
    here = file.tell()
    for _ in range(_TRAILER - 1):
        line = file.readline()
    if line.lstrip().startswith(b"InChI="):
        return file.tell()
    file.seek(here)
    return None


def _check_end(file: io.BufferedIOBase, places: Int[np.ndarray, "n 2"], name: str) -> None:
    """A file without a line end that ends in a shorter number than all others was cut off within it."""
    decimals: list[int] = []
    for start, stop in places[-2:].tolist():
        file.seek(start)
        for line in lines_of(decoded(file.read(stop - start)))[2:]:
            decimals += [len(word.partition(".")[2]) for word in line.split()[1:] if _is_number(word)]
    if len(decimals) > _TRAILER and min(decimals[:-1]) >= _FIXED and decimals[-1] < min(decimals[:-1]):
        raise InputError(
            f"{name}: the last number of frame {len(places) - 1} has {decimals[-1]} decimals, all others at least "
            f"{min(decimals[:-1])}; the file is truncated"
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word  # which Python reads over


def _lines_before(file: io.BufferedIOBase, start: int) -> int:
    file.seek(0)
    count = 0
    while start > 0 and (block := file.read(min(start, 2**20))):
        count += block.count(b"\n")
        start -= len(block)
    return count


def read_frame(file: io.BufferedIOBase, start: int, stop: int) -> ase.Atoms:
    """The structure of one frame.

    Raises
    ------
    InputError
        If it cannot be read; the line in the file is named.
    """
    file.seek(start)
    lines = lines_of(decoded(file.read(stop - start)))
    try:
        return _parsed(lines)
    except _LineError as error:
        line = lines[error.line].strip()
        where = f"line {_lines_before(file, start) + error.line + 1}"
        raise InputError(f"{where} ({line[:60]!r}): {error}" if line else f"{where} is blank: {error}") from error


class _LineError(InputError):
    """What is wrong with a line of a frame, counted from 0."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def _parsed(lines: list[str]) -> ase.Atoms:
    count, comment = int(lines[0]), lines[1]
    rows, rest = lines[2 : count + 2], lines[count + 2 :]
    from_qm9 = len(rest) >= _TRAILER and rest[_TRAILER - 1].lstrip().startswith("InChI=")
    properties = _PROPERTIES.search(comment)
    if properties is not None:
        _check_properties(properties[1], rows)
        _check_names(comment)
    column = _column_of(("species", "symbols"), properties[1]) if properties else 0
    if properties is None:
        rows = [_as_numbers(row, k) for k, row in enumerate(rows, start=2)]
    elif (first := _column_of(("pos", "positions"), properties[1])) is not None:
        for k, row in enumerate(rows, start=2):
            _check_coordinates(row.split()[first : first + 3], k)
    isotopes: dict[int, float] = {}
    if column is not None:
        rows = [_with_element(row, column, k, isotopes) for k, row in enumerate(rows)]
        if properties and (other := _column_of(("z", "numbers"), properties[1])) is not None:
            _check_numbers(rows, column, other)
    vectors = [line for line in rest if line.lstrip().startswith("VEC")]
    head = "" if from_qm9 else comment
    if not vectors and (_BARE.fullmatch(head) or not _KEY.search(head)):
        atoms = _bare(rows)
    else:
        has_keys = properties is not None or "attice" in comment
        atoms = _by_ase([lines[0].strip(), head, *rows, *vectors], has_keys=has_keys)
    if from_qm9 and comment.split()[:1] == ["gdb"]:
        atoms.info["name"] = " ".join(comment.split()[:2])
    set_isotopes(atoms, isotopes)
    if (unit := _OTHER_UNIT.search(comment)) and not from_qm9 and properties is None:
        add_note(atoms, f"the comment line says {unit[0]!r}; coordinates are taken as Å all the same")
    return atoms


def _check_properties(properties: str, rows: list[str]) -> None:
    """Columns that extended xyz names must be there, elements and positions among them."""
    parts = properties.split(":")
    names, widths = [name.lower() for name in parts[::3]], parts[2::3]
    if len(parts) % 3 or not all(w.isascii() and w.isdigit() and 0 < len(w) < 10 for w in widths):
        raise _LineError(1, "its Properties are not triples of a name, a type and a number of columns")
    if not {"pos", "positions"} & set(names) or not {"species", "symbols", "z", "numbers"} & set(names):
        raise _LineError(1, "its Properties name no column of species, or none of pos")
    total = sum(map(int, widths))
    for k, row in enumerate(rows, start=2):
        if (columns := len(row.split())) < total:
            raise _LineError(k, f"has {columns} columns; Properties name {total}")


def _check_names(comment: str) -> None:
    """A name may stand once in the comment of extended xyz: of two energies, one would be passed over."""
    names = Counter(_NAME.findall(_QUOTED.sub("", comment)))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise _LineError(1, f"{twice[0]!r} is there twice; give it once")


def _check_numbers(rows: list[str], column: int, other: int) -> None:
    """An atom whose element and atomic number contradict each other: one of them would be passed over."""
    for k, row in enumerate(rows, start=2):
        words = row.split()
        number = words[other]
        if not number.isdecimal() or atomic_numbers.get(words[column]) != int(number):
            raise _LineError(k, f"the element is {words[column]} and the atomic number {number}")


def _column_of(names: tuple[str, ...], properties: str) -> int | None:
    """Which column a property begins at, None where none is so called or the list of columns cannot be understood."""
    parts, column = properties.split(":"), 0
    for name, width in zip(parts[::3], parts[2::3], strict=False):
        if name.lower() in names:
            return column
        if not (width.isascii() and width.isdigit() and len(width) < 10):
            return None
        column += int(width)
    return None


def _as_numbers(row: str, line: int) -> str:
    """A row of a plain file with exponents as Python writes them."""
    row = _EXPONENT.sub(r"\1e\2", row)
    words = row.split()
    _check_coordinates(words[1:4], line)
    return row


def _check_coordinates(words: list[str], line: int) -> None:
    if len(words) < 3:
        raise _LineError(line, "expected a symbol and three coordinates")
    for word in words:
        if not _is_number(word):
            raise _LineError(line, f"{word[:30]!r} is no coordinate; expected a symbol and three coordinates")


def _with_element(row: str, column: int, atom: int, isotopes: dict[int, float]) -> str:
    words = row.split()
    if column >= len(words):
        raise _LineError(atom + 2, f"has {len(words)} columns; the symbol stands in column {column + 1}")
    if words[column] in ELEMENTS:
        return row
    try:
        symbol, mass = element_of(words[column])
    except InputError as error:
        raise _LineError(atom + 2, str(error)) from error
    if mass is not None:
        isotopes[atom] = mass
    words[column] = symbol
    return " ".join(words)


def _bare(rows: list[str]) -> ase.Atoms:
    """A structure of which the file says elements and positions alone."""
    words = [row.split() for row in rows]
    return ase.Atoms([row[0] for row in words], positions=np.array([row[1:4] for row in words], float).reshape(-1, 3))


def _by_ase(lines: list[str], *, has_keys: bool) -> ase.Atoms:
    from ase.io import read  # loads SciPy, which takes half a second

    try:
        found: Any = read(io.StringIO("\n".join(lines) + "\n"), index=0, format="extxyz")
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        if not has_keys and lines[1]:  # a comment is free text, whatever it looks like
            atoms = _by_ase([lines[0], "", *lines[2:]], has_keys=False)
            add_note(atoms, "the comment line cannot be read as keys and values, and was left out")
            return atoms
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"ASE cannot read it ({reason})") from error
    if not isinstance(found, ase.Atoms):
        raise InputError("not one structure")
    return found
