"""Trajectories and other sets of single points as published: extended XYZ, ASE databases, sGDML and rMD17 archives."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase
import ase.db
import ase.io
import numpy as np

from atomlens.data.dataset import Column, Dataset
from atomlens.data.storage import check_shapes, load_dataset
from atomlens.data.units import energy_factor, force_factor, length_factor
from atomlens.structures import InputError

_ENERGY_NAMES = ("energy", "REF_energy", "dft_energy", "Energy", "E")
_FORCE_NAMES = ("forces", "REF_forces", "dft_forces", "force", "F")


@dataclass(frozen=True)
class Units:
    """Units of a file, where the file does not say; None: the convention of its format (see `read_dataset`)."""

    energy: str | None = None
    length: str | None = None
    forces: str | None = None


@dataclass
class _Frames:
    """Frames while they are collected; lists grow frame by frame."""

    numbers: list[np.ndarray] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    cells: list[np.ndarray] = field(default_factory=list)
    periodic: list[np.ndarray] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    forces: list[np.ndarray] = field(default_factory=list)


def read_dataset(path: str | Path, given: Units | None = None) -> Dataset:
    """Read energies and forces of many structures, converted to eV and Å.

    ============== ==================================================================================
    ``.npz``       rMD17 (``nuclear_charges, coords, energies, forces``) or sGDML (``z, R, E, F``); units from
                   ``e_unit`` and ``r_unit`` in the file, else kcal/mol and Å
    ``.db``        ASE database; units from SchNetPack's metadata, else eV and Å
    a folder       what `atomlens.data.save_dataset` wrote
    anything else  what ASE reads (extended XYZ, ...); eV and Å
    ============== ==================================================================================

    The notes of the set say which units were assumed.

    Parameters
    ----------
    path
        File or folder.
    given
        Units that override the file's.

    Raises
    ------
    InputError
        If the file is missing, truncated, of no known kind, or holds no energies.
    """
    path, given = Path(path), given or Units()
    if not path.exists():
        raise InputError(f"{path}: no such file; give a data set (.xyz, .extxyz, .db, .npz, or a data set folder)")
    if path.is_dir():
        return load_dataset(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; fetch it again")
    if path.suffix == ".npz":
        dataset = _read_npz(path, given)
    else:
        frames, units = _read_db(path) if path.suffix == ".db" else (_read_ase(path), {})
        dataset = _assemble(path, frames, given, units)
    check_shapes(dataset, str(path))
    _check_finite(dataset, path)
    return dataset


def _read_ase(path: Path) -> _Frames:
    frames = _Frames()
    try:
        for number, atoms in enumerate(ase.io.iread(path, index=":")):
            _add(frames, atoms, atoms.info, atoms.arrays, f"{path}, frame {number}")
    except InputError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}, frame {len(frames.numbers)}: cannot be read ({reason}); truncated?") from error
    return frames


def _read_db(path: Path) -> tuple[_Frames, dict[str, str]]:
    frames = _Frames()
    try:
        database = ase.db.connect(path, type="db")
        metadata = database.metadata
        for row in database.select():
            _add(frames, row.toatoms(), {**row.key_value_pairs, **row.data}, row.data, f"{path}, row {row.id}")
    except InputError:
        raise
    except Exception as error:  # SQLite and ASE raise their own kinds; all of it is bad input
        raise InputError(f"{path}: not an ASE database, or a truncated one ({error})") from error
    units = dict(metadata.get("_property_unit_dict", {}))
    if "_distance_unit" in metadata:
        units["length"] = metadata["_distance_unit"]
    return frames, units


def _add(frames: _Frames, atoms: ase.Atoms, info: Mapping[str, Any], arrays: Mapping[str, Any], where: str) -> None:
    results = getattr(atoms.calc, "results", {})
    energy = _first(_ENERGY_NAMES, results, info)
    forces = _first(_FORCE_NAMES, results, arrays)
    if energy is None:
        raise InputError(f"{where}: no energy (looked for {', '.join(_ENERGY_NAMES)})")
    if forces is None and frames.forces:
        raise InputError(f"{where}: no forces, though the frames before have them; complete the file or cut it there")
    if forces is not None:
        if len(frames.forces) < len(frames.numbers):
            raise InputError(f"{where}: has forces, the frames before have none; complete the file")
        forces = np.asarray(forces, dtype=np.float64)
        if forces.shape != (len(atoms), 3):
            raise InputError(f"{where}: forces of shape {forces.shape} for {len(atoms)} atoms")
        frames.forces.append(forces)
    frames.numbers.append(atoms.numbers)
    frames.positions.append(atoms.positions)
    frames.cells.append(atoms.cell.array)
    frames.periodic.append(atoms.pbc)
    frames.energies.append(float(np.asarray(energy).reshape(-1)[0]))


def _first(names: tuple[str, ...], *places: Mapping[str, Any]) -> Any:
    return next((place[name] for place in places for name in names if name in place), None)


def _assemble(path: Path, frames: _Frames, given: Units, stored: Mapping[str, str]) -> Dataset:
    if not frames.numbers:
        raise InputError(f"{path}: holds no structure")
    energy_unit = given.energy or _first(_ENERGY_NAMES, stored) or "eV"
    length_unit = given.length or stored.get("length") or "Å"
    force_unit = given.forces or _first(_FORCE_NAMES, stored) or f"{energy_unit}/{length_unit}"
    assumed = not (given.energy or _first(_ENERGY_NAMES, stored))
    length = length_factor(length_unit)
    return _make(
        path,
        numbers=np.concatenate(frames.numbers),
        positions=np.concatenate(frames.positions) * length,
        cells=np.stack(frames.cells) * length,
        periodic=np.stack(frames.periodic),
        sizes=np.array([len(z) for z in frames.numbers]),
        energies=np.array(frames.energies) * energy_factor(energy_unit),
        forces=np.concatenate(frames.forces) * force_factor(force_unit) if frames.forces else None,
        note=_note(assumed, energy_unit, length_unit, force_unit),
    )


def _read_npz(path: Path, given: Units) -> Dataset:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            data = {name: archive[name] for name in archive.files if archive[name].dtype != object}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an npz archive, or a truncated one ({error})") from error
    z = _first(("nuclear_charges", "z"), data)
    x = _first(("coords", "R"), data)
    energies = _first(("energies", "E"), data)
    forces = _first(("forces", "F"), data)
    if z is None or x is None or energies is None:
        raise InputError(
            f"{path}: has {', '.join(sorted(data)) or 'nothing'}; expected nuclear_charges, coords, energies, forces "
            "(rMD17) or z, R, E, F (sGDML)"
        )
    frames, atoms = x.shape[0], len(z)
    if x.shape != (frames, atoms, 3) or energies.size != frames or (forces is not None and forces.shape != x.shape):
        raise InputError(f"{path}: {atoms} charges, positions {x.shape}, {energies.size} energies do not fit together")
    energy_unit = given.energy or _text(data.get("e_unit")) or "kcal/mol"
    length_unit = given.length or _text(data.get("r_unit")) or "Å"
    force_unit = given.forces or f"{energy_unit}/{length_unit}"
    assumed = not (given.energy or _text(data.get("e_unit")))
    return _make(
        path,
        numbers=np.tile(z.astype(np.int64), frames),
        positions=x.reshape(-1, 3).astype(np.float64) * length_factor(length_unit),
        cells=np.zeros((frames, 3, 3)),
        periodic=np.zeros((frames, 3), dtype=bool),
        sizes=np.full(frames, atoms),
        energies=energies.reshape(-1).astype(np.float64) * energy_factor(energy_unit),
        forces=None if forces is None else forces.reshape(-1, 3).astype(np.float64) * force_factor(force_unit),
        note=_note(assumed, energy_unit, length_unit, force_unit),
    )


def _make(
    path: Path,
    *,
    numbers: np.ndarray,
    positions: np.ndarray,
    cells: np.ndarray,
    periodic: np.ndarray,
    sizes: np.ndarray,
    energies: np.ndarray,
    forces: np.ndarray | None,
    note: str,
) -> Dataset:
    columns = [Column("energy", "eV", energies, meaning="total energy")]
    if forces is not None:
        columns.append(Column("forces", "eV/Å", forces, per_atom=True, meaning="forces on the nuclei"))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return Dataset(
        path.stem, path.name, numbers.astype(np.int64), positions, cells, periodic, starts, tuple(columns), (note,)
    )


def _note(assumed: bool, energy: str, length: str, forces: str) -> str:
    return f"units {'assumed' if assumed else 'stated'}: energies {energy}, lengths {length}, forces {forces}"


def _text(value: Any) -> str | None:
    return None if value is None else str(value.item().decode() if value.dtype.kind == "S" else value)


def _check_finite(dataset: Dataset, path: Path) -> None:
    arrays = {"positions": (dataset.positions, True)} | {c.name: (c.values, c.per_atom) for c in dataset.columns}
    for name, (values, per_atom) in arrays.items():
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if len(bad):
            k = int(np.searchsorted(dataset.starts, bad[0], side="right") - 1) if per_atom else int(bad[0])
            raise InputError(f"{path}, frame {k}: {name} is not a finite number; remove that frame")
