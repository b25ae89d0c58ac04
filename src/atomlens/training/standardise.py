"""What no network needs to learn: atom references, mean and scale of the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from atomlens.data import Dataset, ragged_rows
from atomlens.structures import InputError


@dataclass(frozen=True)
class Standard:
    """Offset and scale of a target (see `atomlens.models.OutputConfig`).

    Attributes
    ----------
    references
        Reference of every atomic number, shape (max_z,), in the target's unit.
    mean
        Mean of what remains; an atom's share if extensive.
    scale
        Spread of what remains, which is 1 for the network.
    """

    references: Float[np.ndarray, " Z"]
    mean: float
    scale: float


def standardise(
    dataset: Dataset,
    train: Int[np.ndarray, " M"],
    target: str,
    forces: str | None,
    *,
    kind: Literal["fit", "none", "free_atoms"],
    extensive: bool,
    centred: bool = True,
) -> Standard:
    r"""Fit references, mean and scale on the training structures.

    References minimise :math:`\sum_k (y_k - \sum_Z n_{kZ} e_Z)^2` with :math:`n_{kZ}` the number of atoms of
    element Z in structure k (their fraction for an intensive property); where compositions do not tell elements
    apart, the smallest such references are taken. The scale is the root mean square of the forces where
    forces are learned, else of the remainder; of the remainder an atom where an extensive one is not centred.

    Raises
    ------
    InputError
        If a target is not finite, or free-atom references are asked for and the data set has none.
    """
    y = np.asarray(dataset.column(target).values, dtype=np.float64)[train]
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise InputError(f"{dataset.name}: {target} of structure {int(train[bad[0]])} is {y[bad[0]]}; remove it")
    sizes = dataset.sizes[train].astype(np.float64)
    counts = composition(dataset)[train]
    if not extensive:
        counts = counts / sizes[:, None]
    references = np.zeros(counts.shape[1])
    mean = 0.0
    if kind == "free_atoms":
        free = dict(dataset.column(target).free_atoms)
        missing = [z for z in dataset.elements if z not in free]
        if missing:
            raise InputError(f"{dataset.name} brings no free-atom {target} of element {missing[0]}; use 'fit'")
        references[list(dataset.elements)] = [free[z] for z in dataset.elements]
    elif kind == "fit":
        present = np.flatnonzero(counts.any(axis=0))
        references[present] = np.linalg.lstsq(counts[:, present], y, rcond=None)[0]
    rest = y - counts @ references
    if kind != "fit" and centred:
        mean = float((rest / sizes).mean() if extensive else rest.mean())
        rest = rest - mean * (sizes if extensive else 1.0)
    if kind != "fit" and extensive and not centred:
        rest = rest / sizes  # the sum over a molecule would leave each atom's part next to nothing
    spread = (
        np.asarray(dataset.column(forces).values)[ragged_rows(np.asarray(dataset.starts), train)] if forces else rest
    )
    scale = float(np.sqrt(np.mean(np.square(spread))))
    # Rounding of total energies is no spread.
    return Standard(references, mean, scale if scale > 1e-9 * max(1.0, float(np.abs(y).max())) else 1.0)


def composition(dataset: Dataset) -> Float[np.ndarray, "S Z"]:
    """Number of atoms of every atomic number in every structure; Z up to the heaviest element of the set."""
    width = max(dataset.elements) + 1
    owner = np.repeat(np.arange(len(dataset)), dataset.sizes)
    flat = np.bincount(owner * width + dataset.numbers, minlength=len(dataset) * width)
    return flat.reshape(len(dataset), width).astype(np.float64)
