"""Edges in blocks: what the layers make of them takes memory for one block, not for all edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from jaxtyping import Int
from torch import Tensor, nn

from atomlens.models import EdgeFeatures, edge_features
from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class EdgeBlocks:
    """The edges of a graph, `block` at a time, with the features that a model's layers need.

    The features (some 200 bytes an edge) are computed once and kept; filters of a layer, ten times as much, are not.
    """

    graph: AtomGraph
    basis: nn.Module
    cutoff: nn.Module
    block: int = 1024  # 3F filters of 1024 edges are a few MB: they stay in cache from one operation to the next

    @property
    def numbers(self) -> Int[Tensor, " N"]:
        """Atomic numbers."""
        return self.graph.numbers

    def __iter__(self) -> Iterator[EdgeFeatures]:
        return iter(self._features)

    @cached_property
    def _features(self) -> tuple[EdgeFeatures, ...]:
        graph, parts = self.graph, [self.graph]
        if graph.n_edges > self.block:
            parts = [
                replace(graph, target=target, source=source, offsets=offsets)
                for target, source, offsets in zip(
                    graph.target.split(self.block),
                    graph.source.split(self.block),
                    graph.offsets.split(self.block),
                    strict=True,
                )
            ]
        return tuple(edge_features(part, self.basis, self.cutoff) for part in parts)
