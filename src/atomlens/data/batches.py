"""Batches by index arithmetic alone: no text, no ASE, no neighbour search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.data.dataset import Dataset
from atomlens.data.edges import EdgeTable
from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class Batch:
    """Some structures and what a model should say about them.

    Attributes
    ----------
    graph
        The structures side by side.
    target
        The property, shape (G, ...), float64: total energies need its digits.
    forces
        Forces, shape (N, 3), or None.
    charges
        Charges in e, shape (N,), or None.
    """

    graph: AtomGraph
    target: Float[Tensor, "G ..."]
    forces: Float[Tensor, "N 3"] | None
    charges: Float[Tensor, " N"] | None = None


class GraphStore:
    """A data set with its edges and one property as tensors, ready to be cut into batches.

    Parameters
    ----------
    dataset
        The structures.
    edges
        Their neighbour lists, of all structures in the same order.
    target
        Name of the property.
    forces
        Name of the forces, or None.
    dtype
        Type of positions and forces.
    device
        Where the tensors are, and the batches cut from them.
    charges
        Name of the charges of atoms, or None.
    """

    def __init__(
        self,
        dataset: Dataset,
        edges: EdgeTable,
        target: str,
        forces: str | None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        charges: str | None = None,
    ) -> None:
        def tensor(array: np.ndarray, dtype: torch.dtype | None = None) -> Tensor:
            # A copy: memory-mapped arrays are read-only, and a batch must not wait for the disk.
            return torch.from_numpy(np.array(array)).to(dtype=dtype, device=device)

        self.cutoff = edges.cutoff
        self.dtype = dtype
        self._numbers = tensor(dataset.numbers, torch.int64)
        self._positions = tensor(dataset.positions, dtype)
        self._cells = tensor(dataset.cells, dtype)
        self._atom_starts = tensor(dataset.starts, torch.int64)
        self._edge_target = tensor(edges.target)
        self._edge_source = tensor(edges.source)
        self._edge_starts = tensor(edges.starts, torch.int64)
        self._offsets = None if edges.offsets is None else tensor(edges.offsets, dtype)
        self._target = tensor(dataset.column(target).values, torch.float64)
        self._forces = None if forces is None else tensor(dataset.column(forces).values, dtype)
        self._charges = None if charges is None else tensor(dataset.column(charges).values, dtype)

    def __len__(self) -> int:
        return len(self._atom_starts) - 1

    def batch(self, indices: Int[Tensor, " G"]) -> Batch:
        """The structures at `indices` as one batch."""
        indices = indices.to(device=self._numbers.device)
        atoms, sizes = _rows(self._atom_starts, indices)
        edges, edge_counts = _rows(self._edge_starts, indices)
        first_atom = torch.repeat_interleave(sizes.cumsum(0) - sizes, edge_counts)
        graph = AtomGraph(
            numbers=self._numbers[atoms],
            positions=self._positions[atoms],
            cells=self._cells[indices],
            target=self._edge_target[edges] + first_atom,
            source=self._edge_source[edges] + first_atom,
            offsets=self._positions.new_zeros(len(edges), 3) if self._offsets is None else self._offsets[edges],
            batch=torch.repeat_interleave(torch.arange(len(indices), device=sizes.device), sizes),
            cutoff=self.cutoff,
        )
        forces, charges = (None if values is None else values[atoms] for values in (self._forces, self._charges))
        return Batch(graph, self._target[indices], forces, charges)

    def batches(self, indices: Int[np.ndarray, " M"], size: int) -> Iterator[Batch]:
        """All structures at `indices` in that order, `size` at a time; the last batch may be smaller."""
        for part in torch.as_tensor(np.asarray(indices, dtype=np.int64)).split(size):
            yield self.batch(part)


def epoch_order(indices: Int[np.ndarray, " M"], seed: int, epoch: int) -> Int[np.ndarray, " M"]:
    """Order in which an epoch visits its structures: a function of seed and epoch, so a resumed run repeats it."""
    return np.random.default_rng([seed, epoch]).permutation(indices)


def _rows(starts: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    first = starts[indices]
    sizes = starts[indices + 1] - first
    shift = first - (sizes.cumsum(0) - sizes)
    rows = torch.repeat_interleave(shift, sizes)
    return rows + torch.arange(len(rows), device=rows.device), sizes
