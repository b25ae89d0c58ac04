"""Linear maps that act along the edges, and the list of atom pairs that the edges join."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain.operators import AtomOperator, Atoms, scaled

Edges = Int[Tensor, " B"] | None  # None: all edges, in order


class EdgeOperator(ABC):
    """Per-edge linear map d_ij on messages. Vectors come as (B, ..., M) with the edge (B,) of each row."""

    @abstractmethod
    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Carry messages from source to target: (B, ..., M_in) to (B, ..., M_out)."""

    @abstractmethod
    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Return the transposed map: (B, ..., M_out) to (B, ..., M_in)."""

    def arrive(self, m: Tensor, edges: Edges, target: AtomOperator, atoms: Atoms) -> Tensor:
        """What `target` makes at each atom of the message that arrives on each edge."""
        return target.apply(self.apply(m, edges), atoms)

    @abstractmethod
    def norms(self) -> Float[Tensor, " E"]:
        """Bound of the factor by which every edge lengthens a vector, either way."""


@dataclass(frozen=True)
class ChannelWeights(EdgeOperator):
    """A weight for every channel of every edge, (E, M): the edge part of SchNet and of PaiNN's scalars."""

    weights: Float[Tensor, "E M"]

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Multiply channel by channel."""
        return scaled(m, self.weights, edges)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Multiply channel by channel."""
        return self.apply(u, edges)

    def norms(self) -> Float[Tensor, " E"]:
        """Largest weight."""
        return self.weights.abs().amax(dim=1)


@dataclass(frozen=True)
class EdgeMatrices(EdgeOperator):
    """A full matrix for every edge, (E, M_out, M_in); what automatic differentiation yields."""

    matrices: Float[Tensor, "E O I"]

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Multiply by the edge's matrix."""
        return torch.einsum("boi,b...i->b...o", self.matrices if edges is None else self.matrices[edges], m)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Multiply by the edge's transposed matrix."""
        return torch.einsum("boi,b...o->b...i", self.matrices if edges is None else self.matrices[edges], u)

    def norms(self) -> Float[Tensor, " E"]:
        """Frobenius norm, which bounds the spectral norm."""
        return torch.linalg.matrix_norm(self.matrices)


@dataclass(frozen=True)
class OwnImages(AtomOperator):
    """Edges from an atom to its own periodic images, as a per-atom map (row i of the edge map is atom i's)."""

    edges: EdgeOperator

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Carry messages to the atom itself."""
        return self.edges.apply(x, atoms)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        return self.edges.pull(u, atoms)


@dataclass(frozen=True)
class PairIndex:
    """Directed pairs of distinct atoms (target i, source j) within the cutoff, sorted, each once.

    Periodic images of one atom count as that atom: edges that differ only by the image are one pair here.
    The reverse of every pair is in the list too.
    """

    target: Int[Tensor, " P"]
    source: Int[Tensor, " P"]
    n_atoms: int

    @property
    def n_pairs(self) -> int:
        """Number of directed pairs."""
        return self.target.shape[0]

    @cached_property
    def keys(self) -> Int[Tensor, " P"]:
        """Sorted search keys, i N + j."""
        return self.target * self.n_atoms + self.source

    @cached_property
    def reverse(self) -> Int[Tensor, " P"]:
        """Index of the pair (j, i) for every pair (i, j)."""
        return torch.searchsorted(self.keys, self.source * self.n_atoms + self.target)

    @cached_property
    def degrees(self) -> Int[Tensor, " N"]:
        """Number of neighbours of every atom."""
        return torch.bincount(self.target, minlength=self.n_atoms)

    @cached_property
    def starts(self) -> Int[Tensor, " N"]:
        """First pair of every target atom."""
        return self.degrees.cumsum(0) - self.degrees

    def find(self, target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Index of the pairs (target, source), and whether they exist; both of the shape of the input."""
        keys = target * self.n_atoms + source
        if self.n_pairs == 0:
            return torch.zeros_like(keys), torch.zeros_like(keys, dtype=torch.bool)
        where = torch.searchsorted(self.keys, keys).clamp_(max=self.n_pairs - 1)
        return where, self.keys[where] == keys


@dataclass(frozen=True)
class Images:
    """How the geometric edges of a graph fall onto pairs of atoms and onto atoms themselves.

    Attributes
    ----------
    pairs
        The directed pairs.
    pair_of_edge
        Pair of every edge, shape (E,); None where every edge is a pair of its own, in order.
    own
        Edges from an atom to its own image, and those atoms; None where there are none.
    """

    pairs: PairIndex
    pair_of_edge: Int[Tensor, " E"] | None
    own: tuple[Int[Tensor, " S"], Int[Tensor, " S"]] | None

    @property
    def every_edge_is_a_pair(self) -> bool:
        """Whether no pair has several images, and no atom one of its own."""
        return self.pair_of_edge is None and self.own is None

    def to_pairs(self, per_edge: Float[Tensor, "E ..."]) -> Float[Tensor, "P ..."]:
        """Sum what images of one pair carry."""
        if self.pair_of_edge is None:
            return per_edge
        other = self.pair_of_edge >= 0
        sums = per_edge.new_zeros((self.pairs.n_pairs, *per_edge.shape[1:]))
        return sums.index_add_(0, self.pair_of_edge[other], per_edge[other])

    def to_own(self, per_edge: Float[Tensor, "E ..."]) -> Float[Tensor, "N ..."] | None:
        """Sum what atoms send to their own images; None where none does."""
        if self.own is None:
            return None
        edges, atoms = self.own
        sums = per_edge.new_zeros((self.pairs.n_atoms, *per_edge.shape[1:]))
        return sums.index_add_(0, atoms, per_edge[edges])


def merge_images(target: Int[Tensor, " E"], source: Int[Tensor, " E"], n_atoms: int) -> Images:
    """Find the distinct pairs among the edges of a graph (sorted by target, then source)."""
    keys = target * n_atoms + source
    is_own = target == source
    if not is_own.any() and (keys[1:] > keys[:-1]).all():  # every edge is a pair, as in any molecule
        return Images(PairIndex(target, source, n_atoms), None, None)
    distinct, inverse = torch.unique(keys[~is_own], sorted=True, return_inverse=True)
    pairs = PairIndex(distinct // n_atoms, distinct % n_atoms, n_atoms)
    own_edges = is_own.nonzero()[:, 0]
    own = (own_edges, target[own_edges]) if len(own_edges) else None
    pair_of_edge = torch.full_like(target, -1)
    pair_of_edge[~is_own] = inverse
    return Images(pairs, pair_of_edge, own)
