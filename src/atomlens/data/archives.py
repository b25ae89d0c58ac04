"""NumPy archives of single points: rMD17's and sGDML's names, one or many molecules, with or without a cell."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from jaxtyping import Bool, Float, Int

from atomlens.data.keys import Keys
from atomlens.structures import InputError, element_of

_CHARGES = ("nuclear_charges", "z", "atomic_numbers", "numbers", "Z")
_POSITIONS = ("coords", "R", "positions")
_ENERGIES = ("energies", "E", "energy")
_FORCES = ("forces", "F")
# Entries that hold a cell have one of these in their name; vectors are rows, but columns under sGDML's name.
_CELL_WORDS = ("lattice", "cell", "box")
_COLUMNS = "lattice"


@dataclass(frozen=True)
class Archive:
    """What an archive holds, in its own units.

    Attributes
    ----------
    numbers, positions, forces
        Atomic numbers, positions and forces of all frames in a row, shapes (A,), (A, 3), (A, 3).
    sizes, energies, cells, periodic
        Atoms, energy, cell vectors as rows, and periodic directions of each frame.
    energy_unit, length_unit
        Units that the file names.
    notes
        What was read, and from where.
    """

    numbers: Int[np.ndarray, " A"]
    positions: Float[np.ndarray, "A 3"]
    forces: Float[np.ndarray, "A 3"] | None
    sizes: Int[np.ndarray, " S"]
    energies: Float[np.ndarray, " S"]
    cells: Float[np.ndarray, "S 3 3"]
    periodic: Bool[np.ndarray, "S 3"]
    energy_unit: str | None
    length_unit: str | None
    notes: tuple[str, ...]


def read_archive(path: Path, keys: Keys) -> Archive:
    """Read an archive; atomic numbers are one row for all frames or one row per frame, where 0 fills up short ones.

    Raises
    ------
    InputError
        If it is no archive, truncated, or its arrays do not fit together.
    """
    data = _arrays(path)
    names = [_name(known, data) for known in (_CHARGES, _POSITIONS)]
    energy, force = keys.energy or _name(_ENERGIES, data), keys.forces or _name(_FORCES, data)
    for named in (keys.energy, keys.forces):
        if named is not None and named not in data:
            raise InputError(f"{path}: has no array {named!r}; it has {', '.join(sorted(data)) or 'nothing'}")
    if None in names or energy is None:
        raise InputError(
            f"{path}: has {', '.join(sorted(data)) or 'nothing'}; expected nuclear_charges, coords, energies, forces "
            "(rMD17) or z, R, E, F (sGDML)"
        )
    z, x, energies = data[str(names[0])], data[str(names[1])], data[energy]
    forces = None if force is None else data[force]
    for name in filter(None, (names[1], energy, force)):
        if data[name].dtype.kind not in "iuf":
            raise InputError(f"{path}: {name} holds {data[name].dtype}, not real numbers")
    if z.dtype.kind in "US":
        z = _from_symbols(path, z)
    if x.ndim == 2:  # one frame
        x, forces = x[None], None if forces is None else forces[None]
    frames, atoms = x.shape[0], x.shape[1] if x.ndim == 3 else 0
    if z.size == atoms and z.ndim <= 2:
        z = np.tile(z.reshape(-1), (frames, 1))
    if frames == 0 or (x.ndim == 3 and atoms == 0):
        raise InputError(f"{path}: holds no frames ({names[1]} of shape {x.shape}); give an archive with structures")
    fits = x.ndim == 3 and z.shape == (frames, atoms) and x.shape[2] == 3 and energies.size == frames
    if not fits or (forces is not None and forces.shape != x.shape):
        raise InputError(
            f"{path}: charges {z.shape}, positions {x.shape}, {energies.size} energies"
            f"{'' if forces is None else f', forces {forces.shape}'} do not fit together"
        )
    if not (np.isfinite(z.astype(np.float64)).all() and (z == np.round(z)).all() and z.min() >= 0 and z.max() <= 118):
        raise InputError(f"{path}: {names[0]} holds numbers that are no atomic numbers")
    filled = z.astype(np.int64) > 0
    if not filled.any(axis=1).all():
        raise InputError(f"{path}, frame {int(np.argmin(filled.any(axis=1)))}: all its atomic numbers are 0")
    cells, periodic, cell_notes = _cells(path, data, frames)
    used = f"energies from {energy!r}, " + ("no forces" if force is None else f"forces from {force!r}")
    return Archive(
        numbers=z.astype(np.int64)[filled],
        positions=x[filled].astype(np.float64),
        forces=None if forces is None else forces[filled].astype(np.float64),
        sizes=filled.sum(axis=1),
        energies=energies.reshape(-1).astype(np.float64),
        cells=cells,
        periodic=periodic,
        energy_unit=_text(data.get("e_unit")),
        length_unit=_text(data.get("r_unit")),
        notes=(used, *cell_notes),
    )


def _from_symbols(path: Path, symbols: np.ndarray) -> np.ndarray:
    labels = [s.decode(errors="replace") if isinstance(s, bytes) else str(s) for s in symbols.reshape(-1)]
    try:
        known = {label: atomic_numbers[element_of(label)[0]] if label else 0 for label in set(labels)}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return np.array([known[label] for label in labels]).reshape(symbols.shape)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = archive.files
            found = {}
            for name in names:
                try:
                    found[name] = archive[name]
                except ValueError:  # an array of objects, which is a pickle: not opened
                    continue
            return found
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an npz archive, or a truncated one ({error})") from error


def _cells(path: Path, data: Mapping[str, np.ndarray], frames: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    names = [name for name in data if any(word in name.lower() for word in _CELL_WORDS)]
    if len(names) > 1:
        raise InputError(f"{path}: cells under several names ({', '.join(names)}); leave one")
    name = names[0] if names else None
    if name is None:
        if "pbc" in data and np.any(data["pbc"]):
            raise InputError(f"{path}: is periodic (pbc), but has no cell; add it under 'cell', vectors as rows")
        return np.zeros((frames, 3, 3)), np.zeros((frames, 3), dtype=bool), []
    try:
        cells = np.asarray(data[name], dtype=np.float64)
    except (TypeError, ValueError):
        cells = np.zeros(0)
    if cells.shape in ((3,), (frames, 3)) and cells.shape != (3, 3):  # sides of a box
        cells = np.eye(3) * cells[..., None, :]
    elif cells.shape == (3, 3) and frames == 3 and name == "box":
        raise InputError(f"{path}: {name} of shape (3, 3) may be one cell or three boxes; give it as (3, 3, 3)")
    if cells.shape == (3, 3):
        cells = np.tile(cells, (frames, 1, 1))
    if cells.shape != (frames, 3, 3) or not np.isfinite(cells).all():
        raise InputError(f"{path}: {name} of shape {data[name].shape} is no cell of {frames} frames; give (3, 3)")
    if name == _COLUMNS:
        cells = cells.transpose(0, 2, 1)
    given = data.get("pbc")
    if given is None:
        periodic = np.abs(np.linalg.det(cells))[:, None] > 0
        periodic = np.broadcast_to(periodic, (frames, 3)).copy()
    else:
        try:
            periodic = np.broadcast_to(given.astype(bool), (frames, 3)).copy()
        except ValueError as error:
            raise InputError(f"{path}: pbc of shape {given.shape} does not fit {frames} frames") from error
    return cells, periodic, [f"cell from {name!r}, vectors as {'columns' if name == _COLUMNS else 'rows'}"]


def _name(known: tuple[str, ...], data: Mapping[str, Any]) -> str | None:
    return next((name for name in known if name in data), None)


def _text(value: np.ndarray | None) -> str | None:
    if value is None:
        return None
    if value.size != 1:
        raise InputError(f"a unit of the archive has {value.size} values; give one")
    told = value.reshape(-1)[0]
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
