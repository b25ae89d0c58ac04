"""What a training set spans, for the card of the model that learns from it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from atomlens.data.dataset import Dataset
from atomlens.models import Domain

# Of larger sets so many structures, spread evenly, are looked at for distances: seconds.
_LOOKED_AT = 50_000


def training_domain(dataset: Dataset, indices: Int[np.ndarray, " M"], within: float) -> Domain:
    """Sizes, formulas, periodicity, and distances below `within` Å of the structures at `indices`.

    Total charges, and with them whether there are molecules with an odd number of electrons, are known where the set
    holds charges of atoms, which add up to them.

    Raises
    ------
    InputError
        If there is no structure.
    """
    indices = np.asarray(indices)
    if len(indices) > _LOOKED_AT:
        indices = indices[np.linspace(0, len(indices) - 1, _LOOKED_AT).astype(np.int64)]
    charges, odd = (), None
    if dataset.has("charges") and dataset.column("charges").per_atom:
        totals = np.add.reduceat(np.asarray(dataset.column("charges").values, dtype=np.float64), dataset.starts[:-1])
        charges = tuple(sorted({int(total) for total in np.round(totals[indices])}))
        electrons = np.add.reduceat(dataset.numbers, dataset.starts[:-1]) - np.round(totals).astype(np.int64)
        odd = bool(((electrons % 2 == 1) & (np.diff(dataset.starts) > 1))[indices].any())
    return Domain.of((dataset.atoms(int(k)) for k in indices), within, charges, odd)
