"""Neighbour lists: who is within the cutoff of whom, periodic images included."""

from __future__ import annotations

import math

import ase
import numpy as np
import torch

from atomlens.structures.arguments import Precision, as_dtype
from atomlens.structures.checks import check_atoms
from atomlens.structures.errors import InputError
from atomlens.structures.graph import AtomGraph
from atomlens.structures.memory import machine_memory
from atomlens.structures.pairs import near_pairs

# What one directed edge costs while a model of usual width runs (filters and messages of a layer, float64).
_BYTES_PER_EDGE = 6_000
# Atoms per Å^3 of the densest matter that anyone computes (diamond 0.18), to bound what is not periodic throughout.
_DENSEST = 0.25


def build_graph(atoms: ase.Atoms, cutoff: float, *, dtype: Precision = torch.float64) -> AtomGraph:
    """Make the graph of one structure with all edges shorter than `cutoff`.

    Parameters
    ----------
    atoms
        Any ASE structure; cell and periodic flags are honoured direction by direction.
    cutoff
        Cutoff radius in Å.
    dtype
        Type of the real numbers in the graph.

    Raises
    ------
    InputError
        If the structure is unusable (see `check_atoms`), or has more edges than this machine's memory holds.

    Examples
    --------
    >>> import ase
    >>> graph = build_graph(ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]), cutoff=5.0)
    >>> graph.target.tolist(), graph.source.tolist()
    ([0, 1], [1, 0])
    """
    check_atoms(atoms)
    dtype = as_dtype(dtype)
    if not (math.isfinite(cutoff) and cutoff > 0):
        raise InputError(f"the cutoff is {cutoff} Å; it must be a positive number")
    _check_memory(atoms, cutoff)

    i, j, offsets = near_pairs(atoms, cutoff)
    order = np.lexsort((j, i))
    return AtomGraph(
        numbers=torch.from_numpy(atoms.numbers.astype(np.int64)),
        positions=torch.from_numpy(atoms.get_positions()).to(dtype),
        cells=torch.from_numpy(np.array(atoms.cell.array))[None].to(dtype),
        target=torch.from_numpy(i[order]),
        source=torch.from_numpy(j[order]),
        offsets=torch.from_numpy(offsets[order]).to(dtype),
        batch=torch.zeros(len(atoms), dtype=torch.int64),
        cutoff=float(cutoff),
    )


def _check_memory(atoms: ase.Atoms, cutoff: float) -> None:
    n, images = len(atoms), _images_within(atoms, cutoff)
    neighbours = n * images
    if images == 1.0 or not atoms.pbc.all():
        # Wide cells, molecules and thick slabs: only a part is within reach, and matter is no denser than diamond.
        neighbours = min(neighbours, max(4.0 / 3.0 * math.pi * cutoff**3 * _DENSEST, images))
    needed = n * neighbours * _BYTES_PER_EDGE
    free = machine_memory()
    if needed > free:
        raise InputError(
            f"a cutoff of {cutoff:g} Å gives about {n * neighbours:.1e} edges between {n} atoms, "
            f"which needs {needed / 1e9:.0f} GB of {free / 1e9:.0f} GB; use a smaller cutoff or structure"
        )


def _images_within(atoms: ase.Atoms, cutoff: float) -> float:
    """Number of images of one atom within the cutoff of another: content of a ball by content of the cell."""
    periodic = atoms.cell.array[atoms.pbc]
    n = len(periodic)
    ball = math.pi ** (n / 2) / math.gamma(n / 2 + 1) * cutoff**n
    return max(1.0, ball / math.sqrt(np.linalg.det(periodic @ periodic.T)))
