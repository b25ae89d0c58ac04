"""Half-walks: all walks over a few layers at once, each with the vector that it carries to its end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain


@dataclass(frozen=True)
class HalfWalks:
    """Walks over some layers, sorted by the atom at which they meet the other half.

    Attributes
    ----------
    atoms
        Visited atoms, one row for each step in order of time, shape (steps + 1, H).
    vectors
        State (forward half) or derivative of the prediction (backward half) that each carries, shape (H, C).
    starts
        Where the walks of every meeting atom begin; walks of atom i are ``starts[i]:starts[i + 1]``, shape (N + 1,).
    """

    atoms: Int[Tensor, "S H"]
    vectors: Float[Tensor, "H C"]
    starts: Int[Tensor, " N1"]

    @property
    def counts(self) -> Int[Tensor, " N"]:
        """Number of walks that meet at every atom."""
        return self.starts.diff()


def ragged_arange(counts: Int[Tensor, " B"]) -> Int[Tensor, " S"]:
    """0..counts[0]-1, 0..counts[1]-1, ... in one vector.

    Examples
    --------
    >>> ragged_arange(torch.tensor([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    total = int(counts.sum())
    first = torch.repeat_interleave(counts.cumsum(0) - counts, counts, output_size=total)
    return torch.arange(total, device=counts.device) - first


def repeat_index(counts: Int[Tensor, " B"]) -> Int[Tensor, " S"]:
    """0 repeated counts[0] times, 1 repeated counts[1] times, ..."""
    return torch.repeat_interleave(counts, output_size=int(counts.sum()))


def ragged_ranges(starts: Int[Tensor, " B"], counts: Int[Tensor, " B"]) -> tuple[Int[Tensor, " S"], Int[Tensor, " S"]]:
    """starts[0], starts[0] + 1, ... (counts[0] of them), starts[1], ... in one vector, and which range each is of.

    Examples
    --------
    >>> [x.tolist() for x in ragged_ranges(torch.tensor([7, 4]), torch.tensor([2, 3]))]
    [[0, 0, 1, 1, 1], [7, 8, 4, 5, 6]]
    """
    owner = repeat_index(counts)
    shift = starts - counts.cumsum(0) + counts
    return owner, torch.arange(owner.shape[0], device=counts.device).add_(shift.index_select(0, owner))


def forward_half(chain: Chain, n_steps: int, first: Int[Tensor, " A"]) -> HalfWalks:
    """All walks (w_0, ..., w_n) over layers 0..n-1 with w_0 in `first`, carrying J ... J x[0]_{w_0}."""
    atoms, vectors = first[None], chain.embedding.index_select(0, first)
    pairs = chain.pairs
    for layer in chain.layers[:n_steps]:
        here = atoms[-1]
        # Pairs sorted by target hold the neighbours of an atom; their reverses lead away from it.
        walk, pair = ragged_ranges(pairs.starts.index_select(0, here), pairs.degrees.index_select(0, here))
        there, out = pairs.source.index_select(0, pair), pairs.reverse.index_select(0, pair)
        sent = layer.source.apply(vectors, here).index_select(0, walk)
        if layer.stay is layer.target:
            moved = layer.edges.apply(sent, out)
            vectors = layer.target.apply(torch.cat([vectors, moved]), torch.cat([here, there]))
        else:
            moved = layer.edges.arrive(sent, out, layer.target, there)
            vectors = torch.cat([layer.stay.apply(vectors, here), moved])
        atoms = torch.cat([torch.stack([*atoms, here]), torch.stack([*atoms.index_select(1, walk), there])], dim=1)
    return _sorted_by(atoms[-1], atoms, vectors, chain.n_atoms)


def backward_half(chain: Chain, n_steps: int, last: Int[Tensor, " A"]) -> HalfWalks:
    """All walks (w_{T-n}, ..., w_T) over the last n layers with w_T in `last`, carrying r_{w_T} J ... J."""
    atoms, vectors = last[None], chain.readout.index_select(0, last)
    pairs = chain.pairs
    for layer in reversed(chain.layers[chain.n_layers - n_steps :]):
        here = atoms[0]
        walk, back = ragged_ranges(pairs.starts.index_select(0, here), pairs.degrees.index_select(0, here))
        there = pairs.source.index_select(0, back)
        pulled = layer.target.pull(vectors, here)
        stayed = pulled if layer.stay is layer.target else layer.stay.pull(vectors, here)
        moved = layer.source.pull(layer.edges.pull(pulled.index_select(0, walk), back), there)
        vectors = torch.cat([stayed, moved])
        atoms = torch.cat([torch.stack([here, *atoms]), torch.stack([there, *atoms.index_select(1, walk)])], dim=1)
    return _sorted_by(atoms[0], atoms, vectors, chain.n_atoms)


def _sorted_by(key: Tensor, atoms: Tensor, vectors: Tensor, n_atoms: int) -> HalfWalks:
    order = torch.argsort(key, stable=True)
    starts = torch.zeros(n_atoms + 1, dtype=torch.int64, device=key.device)
    torch.cumsum(torch.bincount(key, minlength=n_atoms), 0, out=starts[1:])
    return HalfWalks(atoms.index_select(1, order), vectors.index_select(0, order), starts)


def count_half_walks(chain: Chain, n_steps: int) -> Float[Tensor, " N"]:
    """Number of walks of `n_steps` steps that start (or, the pairs being symmetric, end) at every atom."""
    counts = torch.ones(chain.n_atoms, dtype=torch.float64, device=chain.embedding.device)
    for _ in range(n_steps):
        counts = counts.index_add(0, chain.pairs.target, counts[chain.pairs.source])
    return counts
