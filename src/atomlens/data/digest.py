"""A short name for the contents of a data set, by which a change is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from atomlens.data.dataset import Dataset


def digest(dataset: Dataset, columns: Iterable[str]) -> str:
    """SHA-256 of structures, in their order, and of some of their properties; equal on every machine.

    Parameters
    ----------
    dataset
        The structures.
    columns
        Properties that count; others may change. Numbers, no text.

    Raises
    ------
    InputError
        If the set has no such property.
    """
    found = hashlib.sha256()
    arrays = {name: getattr(dataset, name) for name in ("numbers", "positions", "cells", "periodic", "starts")}
    for name, values in (arrays | {name: dataset.column(name).values for name in columns}).items():
        values = np.ascontiguousarray(values, dtype="<f8" if np.asarray(values).dtype.kind == "f" else "<i8")
        found.update(f"{name} {values.shape}".encode())
        found.update(values.data)
    return found.hexdigest()
