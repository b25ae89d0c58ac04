"""The atoms of one or several structures and who is near whom, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class AtomGraph:
    r"""Atoms and the directed edges between them, within a cutoff.

    An edge points from the *source* atom j, which sends a message, to the *target* atom i, which receives it.
    Edges are sorted by target, then by source. In a periodic cell one pair of atoms may be joined by
    several edges (one per image), and an atom by an edge to its own image.

    Attributes
    ----------
    numbers
        Atomic numbers, shape (N,).
    positions
        Cartesian positions in Å, shape (N, 3).
    cells
        Cell vectors as rows in Å, one matrix a structure, shape (G, 3, 3); zero where there is no cell.
    target, source
        Indices i and j of every edge, shape (E,).
    offsets
        Translation in Å of the image of j that the edge means, shape (E, 3):
        ``r_ij = positions[j] + offset - positions[i]``.
    batch
        The structure that each atom belongs to, shape (N,).
    cutoff
        Distance in Å up to which edges were made.
    """

    numbers: Int[Tensor, " N"]
    positions: Float[Tensor, "N 3"]
    cells: Float[Tensor, "G 3 3"]
    target: Int[Tensor, " E"]
    source: Int[Tensor, " E"]
    offsets: Float[Tensor, "E 3"]
    batch: Int[Tensor, " N"]
    cutoff: float

    @property
    def n_atoms(self) -> int:
        """Number of atoms, all structures together."""
        return self.numbers.shape[0]

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return self.target.shape[0]

    @property
    def n_graphs(self) -> int:
        """Number of structures."""
        return self.cells.shape[0]

    @property
    def sizes(self) -> Int[Tensor, " G"]:
        """Number of atoms of every structure."""
        return torch.bincount(self.batch, minlength=self.n_graphs)

    def vectors(self) -> Float[Tensor, "E 3"]:
        """Vectors r_ij from target to source in Å; differentiable in ``positions``."""
        return self.positions[self.source] - self.positions[self.target] + self.offsets

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> AtomGraph:
        """The same graph with its real numbers in `dtype`, on `device`."""
        real = {name: getattr(self, name).to(dtype=dtype, device=device) for name in ("positions", "cells", "offsets")}
        whole = {name: getattr(self, name).to(device=device) for name in ("numbers", "target", "source", "batch")}
        return replace(self, **real, **whole)


def collate(graphs: Sequence[AtomGraph]) -> AtomGraph:
    """Put several graphs side by side in one, without edges between them.

    Raises
    ------
    ValueError
        If there is no graph, or their cutoffs differ.
    """
    if not graphs:
        raise ValueError("collate received no graph; give at least one")
    cutoffs = {graph.cutoff for graph in graphs}
    if len(cutoffs) > 1:
        raise ValueError(f"collate received graphs of different cutoffs {sorted(cutoffs)} Å; build them alike")
    atoms = torch.tensor([0] + [g.n_atoms for g in graphs]).cumsum(0)[:-1].tolist()
    structures = torch.tensor([0] + [g.n_graphs for g in graphs]).cumsum(0)[:-1].tolist()
    return AtomGraph(
        numbers=torch.cat([g.numbers for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        cells=torch.cat([g.cells for g in graphs]),
        target=torch.cat([g.target + n for g, n in zip(graphs, atoms, strict=True)]),
        source=torch.cat([g.source + n for g, n in zip(graphs, atoms, strict=True)]),
        offsets=torch.cat([g.offsets for g in graphs]),
        batch=torch.cat([g.batch + n for g, n in zip(graphs, structures, strict=True)]),
        cutoff=graphs[0].cutoff,
    )
