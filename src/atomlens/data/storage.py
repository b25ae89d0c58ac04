"""Data sets on disk: a folder of plain NumPy arrays, memory-mapped when read, complete or not there at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from atomlens.data.dataset import Column, Dataset
from atomlens.folders import atomic_folder, read_json, reading
from atomlens.structures import InputError, check_regular

FORMAT = "atomlens-dataset-1"
_ARRAYS = ("numbers", "positions", "cells", "periodic", "starts")


def cache_folder() -> Path:
    """Folder for what can be made again.

    ``$ATOMLENS_CACHE``, else ``$XDG_CACHE_HOME/atomlens``, else ``~/.cache/atomlens``.
    """
    if path := os.environ.get("ATOMLENS_CACHE"):
        return Path(path)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atomlens"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write a data set as a folder of arrays; it appears complete or not at all.

    Raises
    ------
    InputError
        If `folder` exists.
    """
    if folder.exists():
        raise InputError(f"{folder} exists; give a new folder")
    with atomic_folder(folder) as part:
        for name in _ARRAYS:
            np.save(part / f"{name}.npy", getattr(dataset, name))
        columns = []
        for k, column in enumerate(dataset.columns):
            np.save(part / f"column{k}.npy", column.values)
            columns.append({key: getattr(column, key) for key in ("name", "unit", "per_atom", "meaning", "free_atoms")})
        meta = {"name": dataset.name, "source": dataset.source, "notes": dataset.notes, "columns": columns}
        (part / "meta.json").write_text(json.dumps({"format": FORMAT, **meta}, indent=1))


def load_dataset(folder: Path) -> Dataset:
    """Read what `save_dataset` wrote; arrays are memory-mapped.

    Raises
    ------
    InputError
        If the folder is no data set, or its arrays do not fit together.
    """
    try:
        meta = read_json(folder / "meta.json")
        if meta["format"] != FORMAT:
            raise InputError(f"{folder}: format {meta['format']!r}, this version reads {FORMAT!r}; make it again")
        arrays = {name: _array(folder / f"{name}.npy") for name in _ARRAYS}
        values = [_array(folder / f"column{k}.npy") for k in range(len(meta["columns"]))]
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, EOFError) as error:
        if (folder / "dataset" / "meta.json").is_file():
            raise InputError(f"{folder}: is no data set, but holds one; give {folder / 'dataset'}") from error
        raise InputError(f"{folder}: not a complete data set of atomlens ({error}); give another folder") from error
    with reading(folder, "make it again, or give another folder"):
        _check_arrays(arrays)
        dataset = Dataset(
            name=str(meta["name"]),
            source=str(meta["source"]),
            notes=tuple(map(str, meta["notes"])),
            columns=tuple(_column(v, c) for v, c in zip(values, meta["columns"], strict=True)),
            **arrays,
        )
        check_shapes(dataset, str(folder))
    return dataset


def _array(path: Path) -> np.ndarray:
    """An array on disk; what is no file, such as a pipe that nobody writes to, is refused."""
    check_regular(path)
    return np.load(path, mmap_mode="r")


def _check_arrays(arrays: dict[str, np.ndarray]) -> None:
    """Raise `ValueError` where arrays cannot be those of structures, whatever their lengths."""
    kinds = {"numbers": ("iu", 1), "positions": ("f", 2), "cells": ("f", 3), "periodic": ("b", 2), "starts": ("iu", 1)}
    for name, (kinds_of, dimensions) in kinds.items():
        array = arrays[name]
        if array.dtype.kind not in kinds_of or array.ndim != dimensions or set(array.shape[1:]) > {3}:
            raise ValueError(f"{name} is an array of {array.dtype} of shape {array.shape}")
    starts, numbers = arrays["starts"], arrays["numbers"]
    if len(starts) < 2 or starts[0] != 0 or (np.diff(starts.astype(np.int64)) < 1).any():
        raise ValueError("starts do not count up from 0")
    if len(numbers) and not 0 < int(numbers.min()) <= int(numbers.max()) <= 118:
        raise ValueError("numbers are not atomic numbers")


def _column(values: np.ndarray, meta: dict[str, Any]) -> Column:
    free_atoms = tuple((int(z), float(e)) for z, e in meta["free_atoms"])
    if not isinstance(meta["per_atom"], bool) or values.ndim < 1:
        raise ValueError(f"the column {meta['name']!r} is none of atoms or structures")
    return Column(str(meta["name"]), str(meta["unit"]), values, meta["per_atom"], str(meta["meaning"]), free_atoms)


def check_shapes(dataset: Dataset, where: str) -> None:
    """Raise `InputError` unless all arrays of a data set have the lengths that ``starts`` implies."""
    atoms, structures = int(dataset.starts[-1]), len(dataset)
    lengths = {"numbers": atoms, "positions": atoms, "cells": structures, "periodic": structures}
    found = {name: len(getattr(dataset, name)) for name in lengths}
    for column in dataset.columns:
        lengths[column.name] = atoms if column.per_atom else structures
        found[column.name] = len(column.values)
    for name, length in lengths.items():
        if found[name] != length:
            raise InputError(f"{where}: {name} has {found[name]} entries, expected {length}; the data are truncated")
