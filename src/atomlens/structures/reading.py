"""From a file, or a SMILES string, to structures that are fit for use."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import ase

from atomlens.structures.checks import check_atoms, check_file_atoms
from atomlens.structures.errors import InputError, StructureWarning
from atomlens.structures.files import decoded, is_plain, lines_of, open_lines, structure_file, suffix_of
from atomlens.structures.lammps import check_lammps
from atomlens.structures.notes import add_note, reading_notes
from atomlens.structures.xyz import frame_places, read_frame

_XYZ = (".xyz", ".extxyz", ".exyz")
_PDB = (".pdb", ".ent", ".brk")
_GRO = (".gro",)
_MOLFILES = (".sdf", ".sd", ".mol", ".mdl")
_PEEK = 4096


@dataclass(frozen=True)
class ReadFrames:
    """Structures that were read, and which of a file's they are.

    Attributes
    ----------
    structures
        The structures.
    numbers
        Their places in the file, counted from 0.
    total
        How many structures the file holds; None where its format does not say without reading all of it.
    """

    structures: list[ase.Atoms]
    numbers: range
    total: int | None = None

    def __str__(self) -> str:
        """How many were read, of how many: "1 frame", "3 of 40 frames"."""
        n = len(self.structures)
        if self.total is None or self.total == n:
            return f"{n} frame{'' if n == 1 else 's'}"
        return f"{n} of {self.total} frames"


def read_structures(path: str | Path, frames: str | int = ":", *, seed: int = 0) -> list[ase.Atoms]:
    """Read one or many structures from a file, or make one from a SMILES string.

    Formats are xyz and extended xyz, PDB and SDF (V2000, V3000), and whatever else ASE knows. What a file leaves open
    (alternate locations, partial occupancies, missing element columns, implied hydrogen atoms) gives a
    `StructureWarning`, and the structure remembers it (`reading_notes`).

    Parameters
    ----------
    path
        File to read; where there is no file of that name, a SMILES string, which RDKit embeds
        (`structure_from_smiles`; `geometry_note` of such a structure says how).
    frames
        Which frames, as a Python index or slice (0, "-1", ":10", "::5").
    seed
        Seed of the embedding of a SMILES string.

    Raises
    ------
    InputError
        If it is neither a file nor a SMILES string, or the file is empty, of no known format, or holds a structure that
        `check_atoms` refuses.
    TypeError
        If `path` is neither text nor a path, or `frames` neither text nor a number.
    """
    if not isinstance(path, str | Path):
        raise TypeError(f"read_structures received {type(path).__name__}; give the path of a file, or a SMILES string")
    if not isinstance(frames, str | Integral):
        raise TypeError(
            f"read_structures received {type(frames).__name__} as frames; write for example 0, ':10' or '::5'"
        )
    return read_frames(path, str(frames), seed=seed).structures


def read_frames(
    path: str | Path, frames: str = ":", *, seed: int = 0, look: Callable[[list[ase.Atoms]], None] | None = None
) -> ReadFrames:
    """`read_structures`, with the places of the structures in the file and their number in all.

    Parameters
    ----------
    path, frames, seed
        As in `read_structures`.
    look
        Called with the structures of a file before `check_atoms`, which takes longer.

    Raises
    ------
    InputError
        As `read_structures`.
    """
    file, index = structure_file(path), frame_index(frames)
    if file is None:
        return ReadFrames([_embedded(str(path), index, frames, seed)], range(1), 1)
    try:
        found = _read(file, index)
    except IndexError as error:
        raise InputError(f"{file}: frames {frames!r} asks for a frame that the file does not have") from error
    if not found.structures:
        what = "holds no structure" if index == slice(None) else f"frames {frames!r} selects no structure"
        raise InputError(f"{file}: {what}")
    for atoms in found.structures:
        if not isinstance(atoms, ase.Atoms):
            raise InputError(f"{file}: holds {type(atoms).__name__}, not structures")
    if look is not None:
        look(found.structures)
    for number, atoms in zip(found.numbers, found.structures, strict=True):
        try:
            check_file_atoms(atoms)
        except InputError as error:
            raise InputError(f"{where(file, number, found.total)}: {error}") from error
    warn_of_notes(found.structures, str(file))
    return found


def where(path: Path, number: int, total: int | None) -> str:
    """A structure of a file in words: the file, and which of its frames where there are several."""
    return str(path) if number == 0 and total in (None, 1) else f"{path}, frame {number}"


def warn_of_notes(structures: Sequence[ase.Atoms], name: str) -> None:
    """Give a `StructureWarning` for every different note of some structures, and in how many of them it is."""
    notes = Counter(note for atoms in structures for note in reading_notes(atoms))
    for note, count in notes.items():
        often = f" (in {count} of {len(structures)} frames)" if len(structures) > 1 else ""
        warnings.warn(f"{name}: {note}{often}", StructureWarning, stacklevel=4)


def _embedded(source: str, index: int | slice, frames: str, seed: int) -> ase.Atoms:
    from atomlens.structures.smiles import structure_from_smiles  # RDKit takes half a second to load

    atoms = structure_from_smiles(source, seed)
    if atoms is None:
        shown = source if len(source) <= 200 else f"{source[:197]}..."
        raise InputError(
            f"{shown}: no such file, and no SMILES string either; "
            "give a structure file that ASE reads (xyz, extxyz, cif, pdb, ...) or a SMILES string like CCO"
        )
    check_atoms(atoms)
    chosen = slice(index, None if index == -1 else index + 1) if isinstance(index, int) else index
    if not [atoms][chosen]:
        raise InputError(f"frames {frames!r} selects none: SMILES {source!r} gives one structure")
    return atoms


def _read(path: Path, index: int | slice) -> ReadFrames:
    if holds_xyz(path):
        return _read_xyz(path, index)
    if suffix_of(path) in (*_PDB, *_MOLFILES, *_GRO):
        return _picked(_read_whole(path), index)
    return _read_by_ase(path, index)


def holds_xyz(path: Path) -> bool:
    """Whether a file is (extended) xyz: by its suffix, else because it begins with a number alone in its line."""
    suffix = suffix_of(path)
    if suffix in _XYZ:
        return True
    if suffix in (*_PDB, *_MOLFILES, *_GRO):
        return False
    if _begins_like_xyz(path):
        return True
    from ase.io.formats import filetype  # loads SciPy, which takes half a second

    with suppress(Exception):  # whatever ASE's guessing meets: then it does not know the file
        return filetype(str(path)) == "extxyz"
    return False


def _begins_like_xyz(path: Path) -> bool:
    """Whether the first line is a number, and the third a label and three numbers."""
    with suppress(InputError, OSError, ValueError), open_lines(path) as file:
        lines = lines_of(decoded(file.read(_PEEK)))
        words = lines[2].split() if len(lines) > 2 else []
        return lines[0].strip().isdecimal() and len(words) > 3 and bool([float(word) for word in words[1:4]])
    return False


def _picked(everything: list[ase.Atoms], index: int | slice) -> ReadFrames:
    picked = range(len(everything))[index]
    numbers = range(picked, picked + 1) if isinstance(picked, int) else picked
    return ReadFrames([everything[k] for k in numbers], numbers, len(everything))


def _read_xyz(path: Path, index: int | slice) -> ReadFrames:
    with open_lines(path) as file:
        places = frame_places(file, str(path))
        picked = range(len(places))[index]
        numbers = range(picked, picked + 1) if isinstance(picked, int) else picked
        structures = []
        for number in numbers:
            try:
                structures.append(read_frame(file, *places[number].tolist()))
            except InputError as error:
                raise InputError(f"{where(path, number, len(places))}: {error}") from error
    return ReadFrames(structures, numbers, len(places))


def _read_whole(path: Path) -> list[ase.Atoms]:
    with open_lines(path) as file:
        lines = lines_of(decoded(file.read()))
    try:
        if (suffix := suffix_of(path)) in _PDB:
            from atomlens.structures.pdb import read_pdb

            return read_pdb(lines)
        if suffix in _GRO:
            from atomlens.structures.gro import read_gro

            return read_gro(lines)
        from atomlens.structures.molfile import read_molecules

        return read_molecules(lines)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_by_ase(path: Path, index: int | slice) -> ReadFrames:
    chosen = slice(index, index + 1) if isinstance(index, int) else index
    if all(bound is None or bound >= 0 for bound in (chosen.start, chosen.stop, chosen.step)):
        with suppress(InputError):  # formats of one structure have no other frame to ask for: read them whole
            found, first, step = _slice_by_ase(path, chosen), chosen.start or 0, chosen.step or 1
            if found or isinstance(index, slice):
                whole = len(found) if chosen == slice(None) else None
                return ReadFrames(found, range(first, first + step * len(found), step), whole)
    # What counts from the end needs all frames; ASE would take the nearest there is for one that is not there.
    return _picked(_slice_by_ase(path, slice(None)), index)


def _slice_by_ase(path: Path, frames: slice) -> list[ase.Atoms]:
    if path.suffix.lower() in (".gz", ".bz2", ".xz") and is_plain(path):
        raise InputError(f"{path}: is not compressed as its name says; name it without {path.suffix}")
    check_lammps(path)
    from ase.io import read  # loads SciPy, which takes half a second

    try:
        found = read(path, index=frames, do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        told = error.args[0] if error.args and isinstance(error.args[0], tuple) else str(error)
        reason = next(filter(None, _words(told)), type(error).__name__)
        raise InputError(f"{path}: not a structure file that ASE can read ({reason})") from error
    structures = found if isinstance(found, list) else [found]
    for atoms in structures:
        _note_occupancies(atoms)
    return structures


def _words(said: object) -> Iterator[str]:
    """First lines of all that an error says, in tuples too."""
    if isinstance(said, tuple):
        for part in said:
            yield from _words(part)
    else:
        yield next(iter(str(said).strip().splitlines()), "")


def _note_occupancies(atoms: object) -> None:
    """A crystal's sites that are not, or not always, filled by the atom that stands there (CIF)."""
    told = atoms.info.get("occupancy") if isinstance(atoms, ase.Atoms) else None
    if not (isinstance(atoms, ase.Atoms) and isinstance(told, dict)):
        return
    shares = [_largest_share(site) for site in told.values() if isinstance(site, dict) and site]
    partial = [share for share in shares if share is not None and share < 0.995]
    if partial:
        add_note(
            atoms,
            f"{_sites(partial)} of the crystal with occupancy below 1 (down to {min(partial):g}); each "
            "counts as wholly filled by its most frequent element",
        )
    odd = [share for share in shares if share is None or share > 1.005]
    if odd:
        add_note(
            atoms, f"{_sites(odd)} of the crystal with an occupancy that is no share; each counts as wholly filled"
        )


def _largest_share(site: dict[str, Any]) -> float | None:
    """Share of the most frequent element of a site; None where one is no number ("?" in CIF)."""
    try:
        shares = [float(share) for share in site.values()]
    except (TypeError, ValueError):
        return None
    return max(shares) if all(map(math.isfinite, shares)) else None


def _sites(found: Sequence[object]) -> str:
    return "1 site" if len(found) == 1 else f"{len(found)} sites"


def frame_index(frames: str) -> int | slice:
    """The number or slice that `frames` writes as Python does ("0", "-1", ":10", "::5").

    Raises
    ------
    InputError
        If it is neither.
    """
    parts = frames.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
        if len(numbers) == 1 and numbers[0] is not None:
            return numbers[0]
        if len(numbers) in (2, 3) and 0 not in numbers[2:]:
            return slice(*numbers)
    except ValueError:
        pass
    raise InputError(f"frames {frames!r} is neither a number nor a slice; write for example 0, -1, :10 or ::5")
