"""Are the numbers of a data set numbers?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from atomlens.data.dataset import Column, Dataset
from atomlens.structures import InputError

# What the meaning of a column says whose short rows are filled up with NaN.
_PADDED = "padded with NaN"


def require_finite(dataset: Dataset, columns: Iterable[str] | None = None) -> None:
    """Refuse NaN and infinity in positions, cells and properties.

    Parameters
    ----------
    dataset
        The structures.
    columns
        Properties to look at; all where None, except those that are padded with NaN.

    Raises
    ------
    InputError
        If one of the numbers is none; property and structure are named.
    """
    found = [Column("positions", "Å", dataset.positions, per_atom=True), Column("cells", "Å", dataset.cells)]
    if columns is None:
        found += [column for column in dataset.columns if _PADDED not in column.meaning]
    else:
        found += [dataset.column(name) for name in columns]
    for column in found:
        values = np.asarray(column.values)
        if values.dtype.kind not in "fc":
            continue
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            row = values[bad[0]].reshape(-1)
            k = int(np.searchsorted(dataset.starts, bad[0], side="right") - 1) if column.per_atom else int(bad[0])
            raise InputError(
                f"{dataset.name}: {column.name} of structure {k} (from 0): {row[~np.isfinite(row)][0]} is no finite "
                "number; correct it, or remove that structure"
            )
