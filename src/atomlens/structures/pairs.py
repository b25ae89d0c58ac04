"""Pairs of atoms within a distance of each other, periodic images included."""

from __future__ import annotations

import ase
import ase.cell
import numpy as np
from jaxtyping import Float, Int

# vesin sorts atoms into cells of the cutoff's size, at most 1e5 of them. Where that many lie along one direction of a
# long or flat box it divides by zero, which ends the process (vesin 0.6): search farther then, in fewer cells.
_MAX_CELLS = 5e4
# Distances of so few atoms are all computed: SciPy, which has the tree, takes half a second to load.
_FEW_ATOMS = 64
# Smaller cells than this (Å) hold less than an atom and only cost time.
_SMALLEST_CELL = 1.0

Pairs = tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Float[np.ndarray, "E 3"]]


def near_pairs(atoms: ase.Atoms, distance: float) -> Pairs:
    """All directed pairs nearer than a distance in Å, those of an atom with its own images among them.

    Returns
    -------
    target, source
        Atoms i and j of every pair, in any order.
    offsets
        Translation in Å of the image of j that is meant.
    """
    return _with_images(atoms, distance) if atoms.pbc.any() else _in_the_open(atoms, distance)


def _in_the_open(atoms: ase.Atoms, distance: float) -> Pairs:
    positions = atoms.positions
    if len(positions) <= _FEW_ATOMS:
        squares = ((positions[:, None] - positions) ** 2).sum(axis=2)
        i, j = np.triu(squares <= distance**2, k=1).nonzero()
    else:
        from scipy.spatial import KDTree

        # A tree and not cells: an atom may be moved "to infinity", and the room between is empty.
        i, j = KDTree(positions).query_pairs(distance, output_type="ndarray").astype(np.int64).T
    return np.concatenate([i, j]), np.concatenate([j, i]), np.zeros((2 * len(i), 3))


def _with_images(atoms: ase.Atoms, distance: float) -> Pairs:
    from vesin import NeighborList  # it loads torch, which a look at a molecule does not need

    positions = np.ascontiguousarray(atoms.positions, dtype=np.float64)
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)  # only periodic directions translate anything
    searched, extent = max(distance, _SMALLEST_CELL), _extent(positions, cell)
    while np.prod(np.maximum(extent / searched, 1.0)) > _MAX_CELLS:
        searched *= 1.25
    finder = NeighborList(cutoff=searched, full_list=True)
    i, j, shifts = finder.compute(points=positions, box=cell, periodic=atoms.pbc.tolist(), quantities="ijS")
    i, j = i.astype(np.int64), j.astype(np.int64)
    offsets = np.zeros((len(i), 3))
    moved = shifts.any(axis=1)
    offsets[moved] = shifts[moved].astype(np.float64) @ cell
    if searched > distance:
        near = np.linalg.norm(positions[j] - positions[i] + offsets, axis=1) < distance
        i, j, offsets = i[near], j[near], offsets[near]
    return i, j, offsets


def _extent(positions: Float[np.ndarray, "N 3"], cell: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " d"]:
    """Size of a system in Å: between the faces of its cell where it is periodic, else between its outermost atoms."""
    inverse = np.linalg.inv(ase.cell.Cell(cell).complete().array)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    return np.where(cell.any(axis=1), heights, np.ptp(positions @ inverse, axis=0) * heights)
