"""The border with ASE: read structures, and refuse those that no model can mean anything on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ase
import ase.io
import numpy as np

from atomlens.structures.errors import InputError
from atomlens.structures.pairs import near_pairs
from atomlens.structures.smiles import structure_from_smiles

# Closer than this no two nuclei of matter are; nearer pairs are duplicates or a file in the wrong unit.
MIN_DISTANCE = 0.1
# 1 mm. Whatever lies farther out is an error in the file, and no list of neighbours can be trusted to count so far.
MAX_COORDINATE = 1e7


def check_atoms(atoms: ase.Atoms) -> None:
    """Raise `InputError` if `atoms` is not a structure that a potential is defined on.

    Checked: at least one atom, known elements, finite coordinates within a millimetre, a cell of non-zero volume where
    the structure is periodic, and no two atoms within 0.1 Å (the same spot, images included).
    """
    if len(atoms) == 0:
        raise InputError("the structure has no atoms; give at least one")
    unknown = atoms.numbers[(atoms.numbers < 1) | (atoms.numbers > 118)]
    if len(unknown):
        raise InputError(f"atomic number {unknown[0]} is no element; atoms need a chemical symbol")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        k = int(bad[0])
        raise InputError(
            f"atom {k} ({atoms.symbols[k]}) is at {atoms.positions[k].tolist()}; coordinates must be finite"
        )
    far = np.flatnonzero((np.abs(atoms.positions) > MAX_COORDINATE).any(axis=1))
    if len(far):
        k = int(far[0])
        raise InputError(
            f"atom {k} ({atoms.symbols[k]}) is at {atoms.positions[k].tolist()}, more than {MAX_COORDINATE:.0e} Å out; "
            "check that coordinates are in Å"
        )
    if atoms.pbc.any():
        if not np.isfinite(atoms.cell.array).all():
            raise InputError("the cell has entries that are not finite; give its three vectors in Å")
        periodic = atoms.cell.array[atoms.pbc]
        size = np.sqrt(max(np.linalg.det(periodic @ periodic.T), 0.0))
        if size < 1e-6:
            raise InputError(
                f"the cell {atoms.cell.cellpar().round(3).tolist()} spans no volume in its periodic directions; "
                "give three independent vectors, or pbc=False"
            )
    _check_overlap(atoms)


def _check_overlap(atoms: ase.Atoms) -> None:
    i, j, _ = near_pairs(atoms, MIN_DISTANCE)
    if not len(i):
        return
    i, j = min(zip(i.tolist(), j.tolist(), strict=True))
    if i == j:
        raise InputError(
            f"atom {i} ({atoms.symbols[i]}) lies within {MIN_DISTANCE} Å of its own periodic image; "
            f"the cell {atoms.cell.cellpar().round(3).tolist()} is too small, check that it is in Å"
        )
    raise InputError(
        f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) lie within {MIN_DISTANCE} Å of each other; "
        "remove one of them, or check that coordinates are in Å"
    )


def read_structures(path: str | Path, frames: str = ":", *, seed: int = 0) -> list[ase.Atoms]:
    """Read one or many structures from any file that ASE knows, or make one from a SMILES string.

    Parameters
    ----------
    path
        File to read; where there is no file of that name, a SMILES string, which RDKit embeds
        (`structure_from_smiles`; `geometry_note` of such a structure says how).
    frames
        Which frames, as a Python index or slice ("0", "-1", ":10", "::5").
    seed
        Seed of the embedding of a SMILES string.

    Raises
    ------
    InputError
        If it is neither a file nor a SMILES string, or the file is empty, of no known format, or holds a structure that
        `check_atoms` refuses.
    """
    file = structure_file(path)
    if file is None:
        return _embedded(str(path), frame_index(frames), frames, seed)
    path, index = file, frame_index(frames)
    try:
        structures, numbers = _read_frames(path, index)
    except IndexError as error:
        raise InputError(f"{path}: frames {frames!r} asks for a frame that the file does not have") from error
    if not structures:
        what = "holds no structure" if index == slice(None) else f"frames {frames!r} selects no structure"
        raise InputError(f"{path}: {what}")
    for number, atoms in zip(numbers, _only_atoms(structures, path), strict=True):
        try:
            check_atoms(atoms)
        except InputError as error:
            where = str(path) if list(numbers) == [0] else f"{path}, frame {number}"
            raise InputError(f"{where}: {error}") from error
    return structures


def structure_file(path: str | Path) -> Path | None:
    """The path of a file that is there, can be read and holds something; None where nothing has that name.

    Raises
    ------
    InputError
        If it is a folder, is empty, or may not be read.
    """
    if not _is_there(path):
        return None
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a structure file")
    try:
        empty = path.stat().st_size == 0
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it") from error
    if empty:
        raise InputError(f"{path} is empty; give a file with at least one structure")
    return path


def _is_there(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that no file can have
        return False


def _embedded(source: str, index: int | slice, frames: str, seed: int) -> list[ase.Atoms]:
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
    return [atoms]


def _read_frames(path: Path, index: int | slice) -> tuple[list[ase.Atoms], range]:
    """The chosen frames, and their numbers in the file."""
    chosen = slice(index, index + 1) if isinstance(index, int) else index
    if all(bound is None or bound >= 0 for bound in (chosen.start, chosen.stop, chosen.step)):
        with suppress(InputError):  # formats of one structure have no other frame to ask for: read them whole
            found, first, step = _read_slice(path, chosen), chosen.start or 0, chosen.step or 1
            if found or isinstance(index, slice):
                return found, range(first, first + step * len(found), step)
    # What counts from the end needs all frames; ASE would take the nearest there is for one that is not there.
    everything = _read_slice(path, slice(None))
    picked = range(len(everything))[index]
    numbers = range(picked, picked + 1) if isinstance(picked, int) else picked
    return [everything[k] for k in numbers], numbers


def _read_slice(path: Path, frames: slice) -> list[ase.Atoms]:
    try:
        found = ase.io.read(path, index=frames, do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: not a structure file that ASE can read ({reason})") from error
    return found if isinstance(found, list) else [found]


def _only_atoms(structures: list[ase.Atoms], path: Path) -> Iterator[ase.Atoms]:
    for atoms in structures:
        if not isinstance(atoms, ase.Atoms):
            raise InputError(f"{path}: holds {type(atoms).__name__}, not structures")
        yield atoms


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
