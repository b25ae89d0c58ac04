"""Geometry of a graph pair by pair: what two opposite edges share is computed once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class PairFeatures:
    """Geometry of the pairs of atoms that exchange messages.

    Attributes
    ----------
    target, source
        Who receives and who sends, shape (D, P). D is 2 where every edge has its opposite: messages of a pair go both
        ways. In a graph of one-way edges D is 1 and pairs are edges.
    radial
        Radial basis functions of the distance, shape (P, R).
    envelope
        Cutoff function of the distance, shape (P,).
    directions
        Unit vectors from target to source, shape (D, P, 3).
    """

    target: Int[Tensor, "D P"]
    source: Int[Tensor, "D P"]
    radial: Float[Tensor, "P R"]
    envelope: Float[Tensor, " P"]
    directions: Float[Tensor, "D P 3"]

    def expansion(self) -> Float[Tensor, "P R1"]:
        r"""Functions :math:`f_c e_1, \dots, f_c e_R, f_c`, in which filters :math:`f_c\,(W e + b)` are linear."""
        return torch.cat([self.radial * self.envelope[:, None], self.envelope[:, None]], dim=1)


def pair_ends(graph: AtomGraph) -> tuple[Int[Tensor, "D P"], Int[Tensor, "D P"], Float[Tensor, "P 3"]]:
    """Targets, sources, and vectors of the first way from target to source; differentiable in positions and offsets."""
    chosen, mutual = half_of_edges(graph)
    target, source, offsets = graph.target, graph.source, graph.offsets
    if mutual:
        target, source, offsets = (x.index_select(0, chosen) for x in (target, source, offsets))
    # index_select and not brackets: its derivative adds rows in one sweep, theirs one number at a time.
    vectors = graph.positions.index_select(0, source) - graph.positions.index_select(0, target) + offsets
    if mutual:
        return torch.stack([target, source]), torch.stack([source, target]), vectors
    return target[None], source[None], vectors


def pair_features(graph: AtomGraph, basis: nn.Module, cutoff: nn.Module) -> PairFeatures:
    """Expand the pairs of a graph; differentiable in positions and offsets."""
    target, source, vectors = pair_ends(graph)
    distances = torch.linalg.vector_norm(vectors, dim=1)
    directions = vectors / distances[:, None]
    return PairFeatures(
        target=target,
        source=source,
        radial=basis(distances),
        envelope=cutoff(distances),
        directions=directions[None] if len(target) == 1 else torch.stack([directions, -directions]),
    )


def half_of_edges(graph: AtomGraph) -> tuple[Int[Tensor, " P"], bool]:
    """Indices of one edge of every two opposite ones, and whether all edges have their opposite.

    Every graph that `atomlens.structures.build_graph` makes has; in one made by hand that has not, all are chosen.
    """
    target, source, n = graph.target, graph.source, graph.n_atoms
    up = target < source
    own = target == source
    if bool(own.any()):  # images of the atom itself: the first coordinate that differs from zero decides
        x, y, z = graph.offsets.detach().unbind(1)
        up = up | (own & ((x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))))
    chosen = up.nonzero()[:, 0]
    if 2 * len(chosen) == len(up):
        down = (~up).nonzero()[:, 0]
        there = target.index_select(0, chosen) * n + source.index_select(0, chosen)
        back = source.index_select(0, down) * n + target.index_select(0, down)
        if torch.equal(there.sort()[0], back.sort()[0]):
            return chosen, True
    return torch.arange(len(up), device=up.device), False
