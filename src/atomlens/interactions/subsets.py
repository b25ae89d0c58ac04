"""Which sets of atoms can interact: connected pairs and triples, and their index by members."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from atomlens.chain import PairIndex
from atomlens.relevance import ragged_arange, repeat_index


@dataclass(frozen=True)
class Triples:
    """Connected triples of atoms, with how each is reached from its members.

    A triple is connected if at least two of its three pairs are within the cutoff; no walk visits exactly the
    atoms of any other.

    Attributes
    ----------
    atoms
        Members i < j < k, sorted, shape (M, 3).
    centre, first, second
        Open paths b - x - c as centre x and positions of b < c among the neighbours of x, shape (Q,).
    triple_of_path
        Triple that each path belongs to, shape (Q,).
    """

    atoms: Int[Tensor, "M 3"]
    centre: Int[Tensor, " Q"]
    first: Int[Tensor, " Q"]
    second: Int[Tensor, " Q"]
    triple_of_path: Int[Tensor, " Q"]


def undirected(pairs: PairIndex) -> Int[Tensor, " P2"]:
    """Indices of the directed pairs (i, j) with i < j: each pair of atoms once."""
    return (pairs.target < pairs.source).nonzero()[:, 0]


def connected_triples(pairs: PairIndex) -> Triples:
    """List the connected triples of a system."""
    degrees = pairs.degrees
    of_pair = repeat_index(degrees)  # centre of every pair, that is its target
    position = ragged_arange(degrees)
    # For the neighbour b at position p, all neighbours c at later positions.
    later = degrees[of_pair] - 1 - position
    path = repeat_index(later)
    centre, first = of_pair[path], position[path]
    second = first + 1 + ragged_arange(later)
    b = pairs.source[pairs.starts[centre] + first]
    c = pairs.source[pairs.starts[centre] + second]
    # Neighbours are sorted, so b < c; the centre may come before, between or after them.
    n = pairs.n_atoms
    low, high = torch.minimum(centre, b), torch.maximum(centre, c)
    middle = centre + b + c - low - high
    keys, triple_of_path = torch.unique((low * n + middle) * n + high, return_inverse=True)
    atoms = torch.stack([keys // (n * n), keys // n % n, keys % n], dim=1)
    return Triples(atoms, centre, first, second, triple_of_path)
