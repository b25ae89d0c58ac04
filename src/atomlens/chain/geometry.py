"""Edge features in blocks, so that memory does not grow with the number of edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jaxtyping import Int
from torch import Tensor, nn

from atomlens.models import EdgeFeatures
from atomlens.models.features import edge_features
from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class EdgeBlocks:
    """The edges of a graph, `block` at a time, with the features that a model's layers need."""

    graph: AtomGraph
    basis: nn.Module
    cutoff: nn.Module
    block: int = 1024  # 3F filters of 1024 edges are a few MB: they stay in cache from one operation to the next

    @property
    def numbers(self) -> Int[Tensor, " N"]:
        """Atomic numbers."""
        return self.graph.numbers

    def __iter__(self) -> Iterator[EdgeFeatures]:
        for first in range(0, max(self.graph.n_edges, 1), self.block):
            part = slice(first, first + self.block)
            yield edge_features(
                replace(
                    self.graph,
                    target=self.graph.target[part],
                    source=self.graph.source[part],
                    offsets=self.graph.offsets[part],
                ),
                self.basis,
                self.cutoff,
            )
