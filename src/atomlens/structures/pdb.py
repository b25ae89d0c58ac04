"""Protein Data Bank files: what is uncertain in them is decided here, and remembered; ASE reads the rest.

Format: wwPDB, "Atomic Coordinate Entry Format Description", version 3.30 (columns are counted from 1 there).
"""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ase
import numpy as np

from atomlens.structures.errors import InputError
from atomlens.structures.notes import add_note
from atomlens.structures.symbols import ELEMENTS, element_of, set_isotopes

_ATOMS = ("ATOM  ", "HETATM")
_HEAD = ("CRYST1", "ORIGX1", "ORIGX2", "ORIGX3")


def _set_of(names: str) -> frozenset[str]:
    """Names that stand in one text."""
    return frozenset(names.split())


# Residues whose atoms have names that begin with the symbol of a light element.
_WATER = "HOH WAT TIP TIP3 TP3 SPC SOL H2O"
_RESIDUES = _set_of(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL ACE NME NMA NH2 HID HIE HIP CYX "
    f"MSE SEC ASH GLH LYN HSD HSE HSP A C G U I DA DC DG DT DU DI {_WATER}"
)
# Never the second letter of a light atom's name: a name that begins so stands in a wrong column, or is no carbon.
_HEAVY = _set_of("Cl Br Li Si Al Mg Mn Zn Fe Cu")
_LIGHT = _set_of("H B C N O F P S K V I W Y U D")


@dataclass
class _Model:
    """Lines of one model with their numbers, and what was decided about them."""

    head: list[str] = field(default_factory=list)
    atoms: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_pdb(lines: Sequence[str]) -> list[ase.Atoms]:
    """All models of a file.

    - An element that is missing in columns 77-78 is taken from the atom's name where its column, its residue or the
      rest of the file leave no doubt; the structure has a note then.
    - Of alternate locations, those of the largest occupancy are kept, residue by residue; a note says which.
    - Occupancies below 1 of atoms without alternatives are noted: each counts as a whole atom.
    - A unit cell of 1 Å or less on each side means that there is no crystal. Other space groups than P 1 are noted,
      because symmetry copies are not made; so are residues without any hydrogen atom.

    Raises
    ------
    InputError
        If a line cannot be read, or an element cannot be known; the line is named.
    """
    models = _models(lines)
    found = []
    for model in models:
        everything, model.atoms = model.atoms, _chosen_locations(model)
        told = [_element_columns(line).upper() for _, line in model.atoms]
        isotopes = {k: element_of("D")[1] or 0.0 for k, element in enumerate(told) if element == "D"}
        rows = _with_numbers([_with_element(number, line, model) for number, line in model.atoms])
        _note_occupancies(model, everything)
        atoms = _by_ase([*_crystal(model), *rows, "ENDMDL"])
        _note_hydrogen(model, atoms)
        for note in model.notes:
            add_note(atoms, note)
        set_isotopes(atoms, isotopes)
        found.append(atoms)
    return found


def _models(lines: Sequence[str]) -> list[_Model]:
    models, head, current = [], [], _Model()
    for number, line in enumerate(lines, start=1):
        if line.startswith(_ATOMS):
            _check_line(number, line)
            current.atoms.append((number, line))
        elif line.startswith(_HEAD):
            if current.atoms and line.startswith("CRYST1"):  # trajectories repeat it at the head of a frame
                models.append(current)
                current = _Model()
            head = [kept for kept in head if kept[:6] != line[:6]] + [line]
        elif line.startswith(("MODEL", "ENDMDL", "END")) and current.atoms:
            models.append(current)
            current = _Model()
        current.head = head
    if current.atoms:
        models.append(current)
    return models


def _check_line(number: int, line: str) -> None:
    try:
        for start in (30, 38, 46):
            if not np.isfinite(float(line[start : start + 8])):
                raise ValueError
        if len(line) < 54:
            raise ValueError
    except ValueError:
        raise InputError(
            f"line {number} ({line[:60].rstrip()!r}) does not end its three coordinates in column 54; "
            "the file is truncated, or no PDB file"
        ) from None


def _crystal(model: _Model) -> list[str]:
    """The head without a cell that only fills its place."""
    kept = []
    for line in model.head:
        if not line.startswith("CRYST1"):
            kept.append(line)
            continue
        try:
            sides = [float(line[k : k + 9]) for k in (6, 15, 24)]
        except ValueError:
            raise InputError(f"the line {line[:60].rstrip()!r} gives no unit cell") from None
        if max(sides) <= 1.0:
            told = ", ".join(f"{side:g}" for side in sides)
            model.notes.append(f"CRYST1 with sides of {told} Å means no crystal; read without a cell")
            continue
        kept.append(line)
        group = line[55:66].strip()
        if group.replace(" ", "") not in ("", "P1"):
            model.notes.append(
                f"space group {group}: only the atoms of the file are in the cell, its symmetry copies are not made"
            )
    return kept


def _residue(line: str) -> str:
    return line[21:27]  # chain, number, insertion code; alternatives may have different names


def _occupancy(line: str) -> float | None:
    try:
        return float(line[54:60])
    except ValueError:
        return None


def _chosen_locations(model: _Model) -> list[tuple[int, str]]:
    weights: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _, line in model.atoms:
        if line[16] != " ":
            weights[_residue(line)][line[16]].append(_occupancy(line) or 0.0)
    if not weights:
        return model.atoms
    best = {place: max(found, key=lambda name: np.mean(found[name])) for place, found in weights.items()}
    kept = [(number, line) for number, line in model.atoms if line[16] in (" ", best.get(_residue(line)))]
    if left := len(model.atoms) - len(kept):
        chosen = ", ".join(sorted(set(best.values())))
        model.notes.append(
            f"alternate locations in {len(best)} {_plural(len(best), 'residue')}: {chosen} kept (largest occupancy), "
            f"{left} {_plural(left, 'atom')} left out"
        )
    return kept


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _note_occupancies(model: _Model, everything: Sequence[tuple[int, str]]) -> None:
    shares: dict[str, float] = defaultdict(float)  # of all locations of an atom: A and B of 0.5 make a whole one
    for _, line in everything:
        if line[16] != " ":
            shares[line[12:16] + _residue(line)] += _occupancy(line) or 0.0
    values = [_occupancy(line) if line[16] == " " else shares[line[12:16] + _residue(line)] for _, line in model.atoms]
    known = [value for value in values if value is not None]
    partial = [value for value in known if value < 0.995]
    if partial and any(known):  # zero throughout: a program that does not write them
        model.notes.append(
            f"{len(partial)} {_plural(len(partial), 'atom')} with occupancy below 1 (down to {min(partial):g}) "
            f"{'counts as a whole one' if len(partial) == 1 else 'count as whole ones'}"
        )


def _note_hydrogen(model: _Model, atoms: ase.Atoms) -> None:
    residues = {line[17:21].strip() for _, line in model.atoms} & _RESIDUES
    if residues and 1 not in atoms.numbers:
        kind = "water" if residues <= _set_of(_WATER) else "residues"
        model.notes.append(
            f"{kind} without hydrogen atoms: the file does not hold them; add them before you explain it"
        )


def _element_columns(line: str) -> str:
    return line[76:78].strip()


def _with_element(number: int, line: str, model: _Model) -> str:
    told = _element_columns(line)
    if told:
        try:
            symbol, _ = element_of(told)
        except InputError as error:
            raise InputError(f"line {number} ({line[:30].rstrip()!r}), columns 77-78: {error}") from error
    else:
        symbol = _guessed(number, line, model)
        note = "no element columns (77-78) in the file: elements are taken from atom names"
        if note not in model.notes:
            model.notes.append(note)
    return f"{line[:76]:<76}{symbol:>2}"


def _with_numbers(lines: list[str]) -> list[str]:
    """Lines whose residue numbers can be read: what is none (hybrid-36's A000, ****) is counted on from the last."""
    changed, last, now = [], "", 0
    for line in lines:
        text = line[22:26]
        try:
            now = int(text)
        except ValueError:
            now += line[17:27] != last
            line = f"{line[:22]}{now % 10_000:>4}{line[26:]}"
        last = line[17:22] + text + line[26]
        changed.append(line)
    return changed


def element_of_name(name: str, residue: str) -> str:
    """Element of an atom by its name, and that of its residue, where no columns say more.

    Raises
    ------
    InputError
        If the name may mean two elements, or none.

    Examples
    --------
    >>> element_of_name("CA", "ALA"), element_of_name("CA", "CA"), element_of_name("HW1", "SOL")
    ('C', 'Ca', 'H')
    """
    line = f"HETATM    1 {name[:4]:<4} {residue[:4]:<4}"
    try:
        return _guessed(0, line, _Model(atoms=[(0, line), (1, "HETATM    1 C1  ")]))
    except InputError as error:
        raise InputError(str(error).partition(": ")[2]) from error


def _guessed(number: int, line: str, model: _Model) -> str:
    """Element from an atom's name, columns 13-16, in whose first two the symbol stands right-justified."""
    columns, residue = line[12:16], line[17:21].strip().upper()
    name = columns.strip().upper().lstrip("0123456789")
    two = name[:2].capitalize()
    light = "H" if name[:1] == "D" else name[:1]
    if residue in _RESIDUES:
        if two == "Se" and residue in ("MSE", "SEC"):
            return "Se"
        if light in ELEMENTS:
            return light
    letters = "".join(c for c in name if c.isalpha())
    if letters == residue.rstrip("0123456789+-") and letters.capitalize() in ELEMENTS:  # an ion: CA of CA, ZN of ZN
        return letters.capitalize()
    if len(name) == 1 and light in ELEMENTS:
        return light
    in_place = columns[0] in " 0123456789" and not _starts_left(model)
    if in_place and name[:1] in _LIGHT and two not in _HEAVY:
        return light
    if name[:1] == "H" and len(columns.strip()) == 4:  # HG11: four letters do not leave the first column free
        return "H"
    if two not in ELEMENTS and light in ELEMENTS:
        return light
    if two in ELEMENTS and (light not in ELEMENTS or (columns[0].isalpha() and not _starts_left(model))):
        return two
    what = f"may mean {two} or {light}; add them" if light in ELEMENTS else "names none"
    raise InputError(f"line {number} ({line[:30].rstrip()!r}): no element in columns 77-78, and {name!r} {what}")


def _starts_left(model: _Model) -> bool:
    """Whether names do not stand where the format puts them: C1 or O in column 13."""
    for _, line in model.atoms:
        columns = line[12:16]
        short = len(columns.strip()) < 4
        if short and columns[0].isalpha() and columns[:2].strip().capitalize() not in ELEMENTS:
            return True
        if short and columns[0].isalpha() and len(columns.strip()) == 1:
            return True
    return False


def _by_ase(lines: list[str]) -> ase.Atoms:
    from ase.io import read  # loads SciPy, which takes half a second

    try:
        with warnings.catch_warnings():  # of occupancies, which were looked at
            warnings.simplefilter("ignore")
            text = io.StringIO("\n".join(lines) + "\n")
            found: Any = read(text, index=0, format="proteindatabank")
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"ASE cannot read it ({reason})") from error
    return found
