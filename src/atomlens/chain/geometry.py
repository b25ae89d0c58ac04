"""Edges in blocks: what the layers make of them takes memory for one block, not for all edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomlens.models import EdgeFeatures, edge_features
from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class EdgeBlocks:
    """The edges of a graph, `block` at a time, with the features that a model's layers need.

    The features (some 200 bytes per edge) are computed once and kept; filters of a layer, ten times as much, are not.
    Nor are the weights that a chain makes of them, where `kept` is false.
    """

    graph: AtomGraph
    basis: nn.Module
    cutoff: nn.Module
    block: int = 1024  # 3F filters of 1024 edges are a few MB: they stay in cache from one operation to the next
    kept: bool = True

    @property
    def numbers(self) -> Int[Tensor, " N"]:
        """Atomic numbers."""
        return self.graph.numbers

    def __iter__(self) -> Iterator[EdgeFeatures]:
        return iter(self._features)

    def room(self, like: Tensor, *shape: int) -> Float[Tensor, "B ..."]:
        """Room for weights of all edges, or of one block where they are not kept."""
        return like.new_empty(self.graph.n_edges if self.kept else self.block, *shape)

    def parts(self, room: Float[Tensor, "B ..."]) -> Iterator[Float[Tensor, "b ..."]]:
        """The part of the room for each block; the same one again and again where weights are not kept."""
        return iter(room.split(self.block)) if self.kept else (room[: len(block.target)] for block in self)

    @cached_property
    def whole(self) -> EdgeFeatures:
        """Features of all edges."""
        parts = list(zip(*map(_tensors, self._computed()), strict=True))
        return EdgeFeatures(*map(torch.cat, parts))

    @cached_property
    def _features(self) -> tuple[EdgeFeatures, ...]:
        if self.kept:
            return tuple(self._computed())
        parts = (tensor.split(self.block) for tensor in _tensors(self.whole))  # they share the memory of the whole
        return tuple(EdgeFeatures(*part) for part in zip(*parts, strict=True))

    def _computed(self) -> Iterator[EdgeFeatures]:
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
        return (edge_features(part, self.basis, self.cutoff) for part in parts)


def _tensors(edges: EdgeFeatures) -> tuple[Tensor, ...]:
    return edges.target, edges.source, edges.radial, edges.envelope, edges.directions
