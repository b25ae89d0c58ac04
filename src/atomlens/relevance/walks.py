r"""All relevance walks of a chain, exactly, without a pass through the network for each.

.. math:: R_w = r_{w_T} J^{(T-1)}_{w_T w_{T-1}} \cdots J^{(0)}_{w_1 w_0} x^{(0)}_{w_0}

The product is contracted from both ends; halves that meet in the middle layer are joined by one matrix product an
atom, so the cost is that of writing the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain
from atomlens.relevance.steps import (
    HalfWalks,
    backward_half,
    count_half_walks,
    forward_half,
    ragged_arange,
    repeat_index,
)

# Bounds of one block: vectors of a half (rows), rows joined at once, walks written at once.
_MAX_HALF = 200_000
_MAX_ROWS = 2_048  # 2 MB of 128 float64 channels: they stay in cache between gathering and multiplying
_MAX_WALKS = 4_000_000


class Walks(NamedTuple):
    """Relevance walks.

    Attributes
    ----------
    atoms
        Visited atoms in order of time, (W, steps + 1) int32; a walk may stay where it is.
    relevance
        R_w in the unit of the prediction, (W,).
    """

    atoms: Int[np.ndarray, "W S"]
    relevance: Float[np.ndarray, " W"]


class _Block(NamedTuple):
    """Relevance of all combinations of backward halves (rows) and forward halves (columns) that meet."""

    values: Float[Tensor, "R P"]
    rows: Int[Tensor, "R S"]
    columns: Int[Tensor, "P S"]


def count_walks(chain: Chain) -> int:
    """Number of full walks of a chain."""
    return round(float(count_half_walks(chain, chain.n_layers).sum()))


def all_walks(chain: Chain) -> Walks:
    """Every full walk of the chain.

    Time and memory are those of the result (4 bytes an atom and one number a walk), besides at most
    about 1 GB of work space.

    Raises
    ------
    MemoryError
        If the list would not fit in this machine's memory.
    """
    n = count_walks(chain)
    steps = chain.n_layers + 1
    size = n * (4 * steps + chain.embedding.element_size())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > 0.8 * memory:
        raise MemoryError(
            f"{n:.3g} walks of {steps} atoms need {size / 1e9:.3g} GB; this machine has {memory / 1e9:.0f} GB. "
            "Ask for top_walks(k), or for interactions, which need no list of walks"
        )
    # One row a step: what a block writes into each row is contiguous. The result is the transposed view.
    atoms = torch.empty((steps, n), dtype=torch.int32)
    relevance = torch.empty(n, dtype=chain.embedding.dtype)
    done = 0
    for block in _blocks(chain, relevance):
        r, p = block.values.shape
        for step, part in enumerate(atoms[:, done : done + r * p].view(steps, r, p)):
            before = block.columns.shape[1]
            part.copy_(block.columns[:, step] if step < before else block.rows[:, step - before, None])
        done += r * p
    return Walks(atoms.numpy().T, relevance.numpy())


def strongest_walks(chain: Chain, k: int) -> Walks:
    """The k full walks of largest |R_w|, strongest first; exact, without a list of all walks.

    Raises
    ------
    ValueError
        If k is negative.
    """
    if k < 0:
        raise ValueError(f"k is {k}; ask for zero or more walks")
    values = chain.embedding.new_empty(0)
    atoms = torch.empty((0, chain.n_layers + 1), dtype=torch.int32)
    for block in _blocks(chain) if k else ():
        flat = block.values.flatten()
        if len(values) == k:  # most blocks hold few walks that can still matter
            candidates = (flat.abs() > values.abs().min()).nonzero()[:, 0]
            best = candidates[flat[candidates].abs().topk(min(k, len(candidates))).indices]
        else:
            best = flat.abs().topk(min(k, len(flat))).indices
        p = block.values.shape[1]
        found = torch.cat([block.columns[best % p], block.rows[best // p]], dim=1)
        values, atoms = torch.cat([values, flat[best]]), torch.cat([atoms, found])
        order = values.abs().argsort(descending=True, stable=True)[:k]
        values, atoms = values[order], atoms[order]
    return Walks(atoms.numpy(), values.numpy())


def walk_blocks(chain: Chain) -> Iterator[Walks]:
    """Every full walk, in blocks of at most about four million: memory stays bounded however many there are."""
    for block in _blocks(chain):
        r, p = block.values.shape
        columns = block.columns[None].expand(r, -1, -1)
        rows = block.rows[:, None].expand(-1, p, -1)
        yield Walks(torch.cat([columns, rows], dim=2).flatten(0, 1).numpy(), block.values.flatten().numpy())


def _blocks(chain: Chain, relevance: Float[Tensor, " W"] | None = None) -> Iterator[_Block]:
    """Blocks of walks; values are parts of `relevance`, one after the other, where it is given."""
    if chain.n_layers == 0:
        values = (chain.readout * chain.embedding).sum(dim=1) + chain.readout_bias
        if relevance is not None:
            relevance.copy_(values)
        here = chain.all_atoms().to(torch.int32)[:, None]
        yield _Block(values[:, None], here, here[:1, :0])
        return
    products = _Products(relevance)
    n_before = chain.n_layers // 2
    n_after = chain.n_layers - 1 - n_before
    for last in _portions(chain, n_after):
        after = backward_half(chain, n_after, last)
        for first in _portions(chain, n_before):
            yield from _join(chain, n_before, forward_half(chain, n_before, first), after, products)


def _portions(chain: Chain, n_steps: int) -> Iterator[Tensor]:
    """All atoms, in portions whose half-walks fit the work space."""
    counts = count_half_walks(chain, n_steps)
    portion = (counts.cumsum(0) / _MAX_HALF).floor().to(torch.int64)
    for number in range(int(portion.max()) + 1):
        atoms = (portion == number).nonzero()[:, 0]
        if len(atoms):
            yield atoms


class _Products:
    """Matrix products of halves, in blocks, into one array where there is one."""

    def __init__(self, relevance: Tensor | None) -> None:
        self.relevance = relevance
        self.done = 0

    def __call__(self, left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Iterator[_Block]:
        step = max(1, _MAX_WALKS // len(right))
        for first in range(0, len(left), step):
            part = left[first : first + step]
            if self.relevance is None:
                values = part @ right.T
            else:
                values = self.relevance[self.done : self.done + len(part) * len(right)].view(len(part), len(right))
                torch.mm(part, right.T, out=values)
                self.done += values.numel()
            yield _Block(values, rows[first : first + step], columns)


def _join(chain: Chain, t: int, before: HalfWalks, after: HalfWalks, products: _Products) -> Iterator[_Block]:
    """Join halves through layer t: staying at the meeting atom, or moving from it to a neighbour."""
    layer, pairs = chain.layers[t], chain.pairs
    sent = layer.source.apply(before.vectors, before.atoms[:, -1])
    pulled = layer.target.pull(after.vectors, after.atoms[:, 0])
    stayed = pulled if layer.stay is layer.target else layer.stay.pull(after.vectors, after.atoms[:, 0])
    before_atoms, after_atoms = before.atoms.to(torch.int32), after.atoms.to(torch.int32)

    # Rows that leave atom b: for each pair (a, b), the backward halves that begin at a.
    out = pairs.reverse  # pairs sorted by source, then target
    rows_of_pair = after.counts[pairs.target[out]]
    rows_of_atom = rows_of_pair.new_zeros(chain.n_atoms).index_add_(0, pairs.source[out], rows_of_pair)
    starts, own_starts, n_rows = before.starts.tolist(), after.starts.tolist(), rows_of_atom.tolist()
    for low, high in _groups(n_rows):
        here = out[int(pairs.starts[low]) : int(pairs.starts[high] + pairs.degrees[high])]
        repeats = after.counts[pairs.target[here]]
        which = here[repeat_index(repeats)]
        rows = after.starts[pairs.target[which]] + ragged_arange(repeats)
        moved = layer.edges.pull(pulled.index_select(0, rows), which)
        moved_atoms = after_atoms.index_select(0, rows)
        done = 0
        for b in range(low, high + 1):
            columns = slice(starts[b], starts[b + 1])
            part = slice(done, done + n_rows[b])
            done += n_rows[b]
            if columns.start < columns.stop:
                halves = before_atoms[columns]
                own = slice(own_starts[b], own_starts[b + 1])
                yield from products(stayed[own], before.vectors[columns], after_atoms[own], halves)
                yield from products(moved[part], sent[columns], moved_atoms[part], halves)


def _groups(n_rows: list[int]) -> Iterator[tuple[int, int]]:
    """Consecutive atoms (first, last) whose rows fit one block."""
    first, total = 0, 0
    for atom, rows in enumerate(n_rows):
        if atom > first and total + rows > _MAX_ROWS:
            yield first, atom - 1
            first, total = atom, 0
        total += rows
    yield first, len(n_rows) - 1
