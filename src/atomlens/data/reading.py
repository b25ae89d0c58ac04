"""Trajectories and other sets of single points as published: extended XYZ, ASE databases, sGDML and rMD17 archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase
import ase.db
import numpy as np

from atomlens.data.archives import read_archive
from atomlens.data.dataset import Column, Dataset
from atomlens.data.keys import ChosenKeys, Keys, are_forces, choose_keys, count_keys, is_energy, no_forces
from atomlens.data.storage import check_shapes, load_dataset
from atomlens.data.units import LENGTH_UNITS, Unit, Units, energy_factor, force_factor, length_factor, unit_text
from atomlens.models import ENERGY_UNITS, impossible
from atomlens.structures import MIN_SIDE, InputError, check_regular, read_structures, reading_notes

_SQLITE = b"SQLite format 3"
# eV/Å. Two nuclei of uranium would have to come within 0.35 Å of each other.
_STRONGEST = 1e6


@dataclass
class _Frames:
    """Frames while they are collected: everything that may be an energy or forces, frame by frame."""

    atoms: list[ase.Atoms] = field(default_factory=list)
    energies: list[dict[str, float]] = field(default_factory=list)
    forces: list[dict[str, np.ndarray]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, atoms: ase.Atoms, where: str, *entries: Mapping[str, Any]) -> None:
        found: dict[str, Any] = {}
        for mapping in (getattr(atoms.calc, "results", {}), *entries):
            found = {**mapping, **found}
        self.atoms.append(atoms)
        self.places.append(where)
        self.energies.append({k: float(np.asarray(v).reshape(-1)[0]) for k, v in found.items() if is_energy(k, v)})
        for key, value in found.items():
            if no_forces(key, value, len(atoms)):
                raise InputError(f"{where}: {key} of shape {np.shape(value)} for {len(atoms)} atoms")
        self.forces.append(
            {
                k: np.asarray(v, dtype=np.float64).reshape(-1, 3)
                for k, v in found.items()
                if are_forces(k, v, len(atoms))
            }
        )


def read_dataset(path: str | Path, given: Units | None = None, keys: Keys | None = None) -> Dataset:
    """Read energies and forces of many structures, converted to eV and Å.

    ============== ==================================================================================
    ``.npz``       rMD17 (``nuclear_charges, coords, energies, forces``) or sGDML (``z, R, E, F``); units from
                   ``e_unit`` and ``r_unit`` in the file, else kcal/mol and Å; cells from ``lattice`` (sGDML: vectors
                   as columns) or ``cell`` (as rows)
    ``.db``        ASE database; units from SchNetPack's metadata (names, or factors to eV and Å), else eV and Å
    a folder       what `atomlens.data.save_dataset` wrote
    anything else  what `read_structures` reads (extended XYZ, ...); eV and Å
    ============== ==================================================================================

    Energies and forces are of one level of theory: entries are taken in pairs of the same name (``REF_energy`` and
    ``REF_forces``), references before plain names, and those before names of models. Isolated atoms without forces have
    none beside frames that have them. The notes of the set say which entries were read and which units were assumed.

    Parameters
    ----------
    path
        File or folder.
    given
        Units that override the file's.
    keys
        Entries of energies and forces, where the names do not say.

    Raises
    ------
    InputError
        If the file is missing, truncated, of no known kind, or holds no energies, or energies of one level of theory
        and forces of another; or if units or entries are given for a folder, which has its own.
    """
    path, given, keys = Path(path), given or Units(), keys or Keys()
    if not path.exists():
        raise InputError(f"{path}: no such file; give a data set (.xyz, .extxyz, .db, .npz, or a data set folder)")
    check_regular(path)
    if path.is_dir():
        _check_nothing_given(path, given, keys)
        return load_dataset(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; fetch it again")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        dataset = _read_npz(path, given, keys)
    elif suffix == ".db" or _starts_with(path, _SQLITE):
        frames, units = _read_db(path)
        dataset = _assemble(path, frames, given, units, keys)
    else:
        dataset = _assemble(path, _read_files(path), given, {}, keys)
    check_shapes(dataset, str(path))
    _check_finite(dataset, path)
    _check_cells(dataset, path)
    return dataset


def _check_nothing_given(folder: Path, given: Units, keys: Keys) -> None:
    """A folder holds eV and Å under names of its own; what is given would have no effect."""
    asked = {
        "energy-unit": given.energy,
        "length-unit": given.length,
        "force-unit": given.forces,
        "energy-key": keys.energy,
        "forces-key": keys.forces,
    }
    for option, value in asked.items():
        if value is not None:
            name = option.replace("-", "_")
            raise InputError(
                f"{folder}: is a data set folder, which has its own units and entries; leave out --{option} ({name}), "
                f"received {value!r}"
            )


def _starts_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _read_files(path: Path) -> _Frames:
    frames = _Frames()
    for number, atoms in enumerate(read_structures(path)):
        frames.add(atoms, f"{path}, frame {number}", atoms.info, atoms.arrays)
    return frames


def _read_db(path: Path) -> tuple[_Frames, dict[str, Unit]]:
    frames = _Frames()
    try:
        database = ase.db.connect(path, type="db")
        metadata = database.metadata
        for row in database.select():
            frames.add(row.toatoms(), f"{path}, row {row.id}", row.data, row.key_value_pairs)
    except InputError:
        raise
    except Exception as error:  # SQLite and ASE raise their own kinds; all of it is bad input
        raise InputError(f"{path}: not an ASE database, or a truncated one ({error})") from error
    told = metadata.get("_property_unit_dict", {})
    units = dict(told) if isinstance(told, Mapping) else {}
    if "_distance_unit" in metadata:
        units[_LENGTH] = metadata["_distance_unit"]
    stated = {key: unit for key, unit in units.items() if unit is not None and unit != ""}
    return frames, {key: unit if isinstance(unit, float | int) else str(unit) for key, unit in stated.items()}


def _check_said(path: Path, frames: _Frames, given: Units) -> None:
    """A unit that a frame's comment names must not be passed over.

    Raises
    ------
    InputError
        If it is another one than eV or Å, and nobody gave the unit.
    """
    for what, known, stated, option in (
        ("energies", ENERGY_UNITS, given.energy, "--energy-unit (energy_unit)"),
        ("lengths", LENGTH_UNITS, given.length, "--length-unit (length_unit)"),
    ):
        others = {name.lower(): name for name, factor in known.items() if factor != 1.0}
        for number, atoms in enumerate(frames.atoms if stated is None else ()):
            for key, value in atoms.info.items():
                said = key if value is True else value if "unit" in str(key).lower() else None
                if isinstance(said, str) and said.lower() in others and len(said) > 1:
                    raise InputError(
                        f"{path}, frame {number}: its comment says {said!r} where eV and Å are usual; say the unit of "
                        f"{what} with {option}"
                    )


# Where the unit of lengths stands among those of entries; no entry has this name.
_LENGTH = "the distance"


def _assemble(path: Path, frames: _Frames, given: Units, stored: Mapping[str, Unit], keys: Keys) -> Dataset:
    if not frames.atoms:
        raise InputError(f"{path}: holds no structure")
    chosen, free = _chosen(path, frames, keys)
    if not stored:
        _check_said(path, frames, given)
    energy_unit = given.energy or stored.get(chosen.energy, "eV")
    length_unit = given.length or stored.get(_LENGTH, "Å")
    force_unit = given.forces or stored.get(chosen.forces or "")
    assumed = not given.energy and chosen.energy not in stored
    length = length_factor(length_unit)
    factor = force_factor(force_unit) if force_unit is not None else energy_factor(energy_unit) / length
    forces = None
    if chosen.forces is not None:
        forces = np.concatenate(
            [found[chosen.forces] if chosen.forces in found else np.zeros((1, 3)) for found in frames.forces]
        )
    notes = [_note(assumed, energy_unit, length_unit, force_unit), str(chosen)]
    if free:
        notes.append(f"{free} isolated atom{'s have' if free > 1 else ' has'} no forces in the file: they are zero")
    notes += sorted({note for atoms in frames.atoms for note in reading_notes(atoms)})
    return _make(
        path,
        numbers=np.concatenate([atoms.numbers for atoms in frames.atoms]),
        positions=np.concatenate([atoms.positions for atoms in frames.atoms]) * length,
        cells=np.stack([atoms.cell.array for atoms in frames.atoms]) * length,
        periodic=np.stack([atoms.pbc for atoms in frames.atoms]),
        sizes=np.array([len(atoms) for atoms in frames.atoms]),
        energies=np.array([found[chosen.energy] for found in frames.energies]) * energy_factor(energy_unit),
        forces=None if forces is None else forces * factor,
        notes=notes,
    )


def _chosen(path: Path, frames: _Frames, keys: Keys) -> tuple[ChosenKeys, int]:
    """Entries to read, and how many isolated atoms have no forces though other frames do."""
    _take_named(frames, keys)
    for place, atoms, found in zip(frames.places, frames.atoms, frames.energies, strict=True):
        if not found:
            numbers = ", ".join(sorted(map(str, _numbers(atoms)))) or "no number at all"
            raise InputError(
                f"{place}: no energy by a name like energy, REF_energy, DFT_energy or E; the frame has {numbers}; name "
                "one with --energy-key (energy_key)"
            )
    # What moves with a lone atom costs nothing: its forces vanish, and files leave them out.
    lone = [len(atoms) == 1 and not atoms.pbc.any() for atoms in frames.atoms]
    n_forced = sum(not alone for alone in lone)
    energies, forces = count_keys(frames.energies), count_keys(frames.forces)
    chosen = choose_keys(energies, forces, len(frames.atoms), n_forced, keys, str(path))
    if chosen.forces is None:
        return chosen, 0
    without = [chosen.forces not in found for found in frames.forces]
    for place, missing, alone in zip(frames.places, without, lone, strict=True):
        if missing and not alone:
            have = len(without) - sum(without)
            raise InputError(
                f"{place}: no forces ({chosen.forces}), though {have} other frame{' has' if have == 1 else 's have'} "
                "them; complete the file, or leave such frames out"
            )
    return chosen, sum(without)


def _numbers(atoms: ase.Atoms) -> list[str]:
    entries = {**atoms.info, **getattr(atoms.calc, "results", {})}
    return [key for key, value in entries.items() if isinstance(value, int | float | np.number)][:20]


def _take_named(frames: _Frames, keys: Keys) -> None:
    """Entries that the caller names are looked at, whatever they are called."""
    for atoms, energies, forces in zip(frames.atoms, frames.energies, frames.forces, strict=True):
        for place in (atoms.info, atoms.arrays, getattr(atoms.calc, "results", {})):
            if keys.energy is not None and keys.energy in place and np.size(place[keys.energy]) == 1:
                energies[keys.energy] = float(np.asarray(place[keys.energy]).reshape(-1)[0])
            if keys.forces is not None and keys.forces in place and np.size(place[keys.forces]) == 3 * len(atoms):
                forces[keys.forces] = np.asarray(place[keys.forces], dtype=np.float64).reshape(-1, 3)


def _read_npz(path: Path, given: Units, keys: Keys) -> Dataset:
    found = read_archive(path, keys)
    energy_unit = given.energy or found.energy_unit or "kcal/mol"
    length_unit = given.length or found.length_unit or "Å"
    force_unit = given.forces
    length = length_factor(length_unit)
    factor = force_factor(force_unit) if force_unit else energy_factor(energy_unit) / length
    return _make(
        path,
        numbers=found.numbers,
        positions=found.positions * length,
        cells=found.cells * length,
        periodic=found.periodic,
        sizes=found.sizes,
        energies=found.energies * energy_factor(energy_unit),
        forces=None if found.forces is None else found.forces * factor,
        notes=[
            _note(not (given.energy or found.energy_unit), energy_unit, length_unit, force_unit),
            *found.notes,
        ],
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
    notes: Iterable[str],
) -> Dataset:
    columns = [Column("energy", "eV", energies, meaning="total energy")]
    if forces is not None:
        columns.append(Column("forces", "eV/Å", forces, per_atom=True, meaning="forces on the nuclei"))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return Dataset(
        path.stem, path.name, numbers.astype(np.int64), positions, cells, periodic, starts, tuple(columns), tuple(notes)
    )


def _note(assumed: bool, energy: Unit, length: Unit, forces: Unit | None) -> str:
    told = unit_text(forces, "eV/Å") if forces is not None else f"{unit_text(energy, 'eV')}/{unit_text(length, 'Å')}"
    return (
        f"units {'assumed' if assumed else 'stated'}: energies {unit_text(energy, 'eV')}, "
        f"lengths {unit_text(length, 'Å')}, forces {told}"
    )


def _check_cells(dataset: Dataset, path: Path) -> None:
    """Cells that only fill their place make a crystal of every molecule."""
    crystals = dataset.periodic.any(axis=1)
    periods = np.linalg.norm(dataset.cells, axis=2)
    short = np.flatnonzero(crystals & (np.where(dataset.periodic, periods, np.inf).min(axis=1) < MIN_SIDE))
    if len(short):
        k = int(short[0])
        period = periods[k][dataset.periodic[k]].min()
        raise InputError(
            f"{path}, frame {k}: the cell repeats every atom after {period:.3g} Å; a cell "
            "that only fills its place has to go, others must be in the unit of lengths"
        )


def _check_finite(dataset: Dataset, path: Path) -> None:
    arrays = {"positions": (dataset.positions, True)} | {c.name: (c.values, c.per_atom) for c in dataset.columns}
    for name, (values, per_atom) in arrays.items():
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if len(bad):
            k = int(np.searchsorted(dataset.starts, bad[0], side="right") - 1) if per_atom else int(bad[0])
            raise InputError(f"{path}, frame {k}: {name} is not a finite number; remove that frame")
    energies = dataset.column("energy").values
    k = int(np.argmax(np.abs(energies) / dataset.sizes))
    if reason := impossible(float(energies[k]), int(dataset.sizes[k]), "eV", 0.0, 0.0, "float64"):
        raise InputError(f"{path}, frame {k}: {reason}; check the unit, or remove that frame")
    if dataset.has("forces"):
        forces = np.abs(dataset.column("forces").values).reshape(-1, 3).max(axis=1)
        atom = int(np.argmax(forces))
        if forces[atom] > _STRONGEST:
            k = int(np.searchsorted(dataset.starts, atom, side="right") - 1)
            raise InputError(
                f"{path}, frame {k}: a force of {forces[atom]:.3g} eV/Å is beyond {_STRONGEST:g} eV/Å; "
                "check the unit, or remove that frame"
            )
