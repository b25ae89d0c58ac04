"""What layers exchange: features of edges, states of atoms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class EdgeFeatures:
    """Geometry of the edges as the layers see it.

    Attributes
    ----------
    target, source
        Indices of the atoms that every edge joins, shape (E,).
    radial
        Radial basis functions of the distance, shape (E, R).
    envelope
        Cutoff function of the distance, shape (E,).
    directions
        Unit vectors from target to source, shape (E, 3).
    """

    target: Int[Tensor, " E"]
    source: Int[Tensor, " E"]
    radial: Float[Tensor, "E R"]
    envelope: Float[Tensor, " E"]
    directions: Float[Tensor, "E 3"]

    @cached_property
    def expansion(self) -> Float[Tensor, "E R1"]:
        r"""Functions :math:`f_c e_1, \dots, f_c e_R, f_c`, in which filters :math:`f_c\,(W e + b)` are linear."""
        return torch.cat([self.radial * self.envelope[:, None], self.envelope[:, None]], dim=1)

    def of(self, edges: Int[Tensor, " B"]) -> EdgeFeatures:
        """Features of some of the edges."""
        parts = (self.target, self.source, self.radial, self.envelope, self.directions)
        return EdgeFeatures(*(part.index_select(0, edges) for part in parts))


@dataclass(frozen=True)
class AtomFeatures:
    """State of the atoms after the last layer: scalars (N, F) and, for PaiNN, vectors (N, 3, F)."""

    scalars: Float[Tensor, "N F"]
    vectors: Float[Tensor, "N 3 F"] | None = None


def edge_features(graph: AtomGraph, basis: nn.Module, cutoff: nn.Module) -> EdgeFeatures:
    """Expand the edges of a graph; differentiable in the positions."""
    vectors = graph.vectors()
    distances = torch.linalg.vector_norm(vectors, dim=1)
    return EdgeFeatures(
        target=graph.target,
        source=graph.source,
        radial=basis(distances),
        envelope=cutoff(distances),
        directions=vectors / distances[:, None],
    )


def sum_edges(messages: Tensor, target: Int[Tensor, " E"], n_atoms: int) -> Tensor:
    """Sum what arrives at every atom: (E, ...) to (N, ...)."""
    return messages.new_zeros((n_atoms, *messages.shape[1:])).index_add(0, target, messages)


def mix_vectors(layer: nn.Linear, vectors: Float[Tensor, "N 3 I"]) -> Float[Tensor, "N 3 O"]:
    """Mix channels of vectors by a layer without bias.

    A plain product and not the layer's call: rules for layers of weights that look at signs (LRP-γ) must leave
    vectors alone, or explanations would turn with the molecule.
    """
    return (vectors.flatten(0, -2) @ layer.weight.T).unflatten(0, vectors.shape[:-1])
