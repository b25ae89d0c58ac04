r"""Halves of walks that meet at an atom, joined through the layer between them.

A walk stays at the meeting atom b or moves from it to a neighbour a:

.. math:: R = \bar u_h \cdot x_s \quad\text{or}\quad R = (\hat u_h \odot d_{ab}) \cdot K_b x_s

so all walks through b are two matrix products of the halves that come to it and those that go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain, Layer, PairIndex
from atomlens.relevance.steps import HalfWalks, backward_half, count_half_walks, forward_half, ragged_ranges

# Bounds of one block: vectors of a half (rows), numbers joined at once, walks written at once.
MAX_HALF = 200_000
MAX_NUMBERS = 65_536  # 0.5 MB of float64: they stay in a core's own cache between gathering and multiplying
MAX_WALKS = 4_000_000


class Block(NamedTuple):
    """Relevance of all combinations of forward halves (rows) and backward halves (columns) that meet.

    Visited atoms have one row for each step, in order of time.
    """

    values: Float[Tensor, "P R"]
    rows: Int[np.ndarray, "S P"]
    columns: Int[np.ndarray, "S2 R"]


@dataclass(frozen=True)
class Joint:
    """Halves on both sides of one layer.

    Attributes
    ----------
    before, after
        Walks that come to the meeting atom, and walks that go on from it or from its neighbours.
    sent
        Messages K x that walks of `before` send, shape (B, M).
    pulled
        Derivatives by the messages that arrive where walks of `after` begin, shape (A, M').
    stayed
        Derivatives by the state before the layer, of walks that stay, shape (A, C).
    """

    layer: Layer
    pairs: PairIndex
    before: HalfWalks
    after: HalfWalks
    sent: Float[Tensor, "B M"]
    pulled: Float[Tensor, "A M2"]
    stayed: Float[Tensor, "A C"]

    @classmethod
    def of(cls, chain: Chain, t: int, before: HalfWalks, after: HalfWalks) -> Joint:
        """Join through layer t."""
        layer, here = chain.layers[t], after.atoms[0]
        pulled = layer.target.pull(after.vectors, here)
        stayed = pulled if layer.stay is layer.target else layer.stay.pull(after.vectors, here)
        sent = layer.source.apply(before.vectors, before.atoms[-1])
        return cls(layer, chain.pairs, before, after, sent, pulled, stayed)

    def blocks(self, relevance: Float[Tensor, " W"] | None = None, done: int = 0) -> Iterator[Block]:
        """All walks, by meeting atom, a few of them at a time; first those that stay, then those that move.

        Values are parts of `relevance`, one after the other from `done` on, where it is given.
        """
        came, went = self.before.atoms.int().cpu().numpy(), self.after.atoms.int().cpu().numpy()
        # Pairs (b, a) hold the neighbours a of b; walks that move on take their reverses.
        first = self.after.starts.index_select(0, self.pairs.source)
        counts = self.after.counts.index_select(0, self.pairs.source)
        pair_stops = [0, *self.pairs.degrees.cumsum(0).tolist()]
        row_stops = torch.nn.functional.pad(counts.cumsum(0), (1, 0))[pair_stops].tolist()
        starts, own_starts = self.before.starts.tolist(), self.after.starts.tolist()
        for low, high in _groups(row_stops, self.max_rows):
            for b in range(low, high):
                mine, own = slice(starts[b], starts[b + 1]), slice(own_starts[b], own_starts[b + 1])
                for values, some in _products(self.before.vectors[mine], self.stayed[own], relevance, done):
                    done += values.numel()
                    yield Block(values, came[:, mine][:, some], went[:, own])
            here = slice(pair_stops[low], pair_stops[high])
            owner, rows = ragged_ranges(first[here], counts[here])
            through = self.pairs.reverse[here].index_select(0, owner)
            atoms = went[:, rows.cpu().numpy()]
            for start, stop in _parts(row_stops[low], row_stops[high], self.max_rows):
                part = slice(start - row_stops[low], stop - row_stops[low])
                moved = self.carried(rows[part], through[part])
                for b in range(low, high):  # several only if there is one part
                    mine = slice(starts[b], starts[b + 1])
                    left, right = max(start, row_stops[b]), min(stop, row_stops[b + 1])
                    to_b = moved[left - start : right - start]
                    for values, some in _products(self.sent[mine], to_b, relevance, done):
                        done += values.numel()
                        there = atoms[:, left - row_stops[low] : right - row_stops[low]]
                        yield Block(values, came[:, mine][:, some], there)

    @property
    def max_rows(self) -> int:
        """Walks of `after` that are carried to their neighbours at once."""
        return max(1, MAX_NUMBERS // max(1, self.sent.shape[1]))

    def carried(self, rows: Int[Tensor, " R"], pairs: Int[Tensor, " R"]) -> Float[Tensor, "R M"]:
        """Derivatives by the messages that are sent along pairs to the beginnings of walks of `after`."""
        return self.layer.edges.pull(self.pulled.index_select(0, rows), pairs)


def _products(left: Tensor, right: Tensor, relevance: Tensor | None, done: int) -> Iterator[tuple[Tensor, slice]]:
    """Products left @ right.T, some rows at a time, into `relevance` from `done` on where it is given.

    They are twice as fast with the shorter side on the left.
    """
    n_rows, n_columns = left.shape[0], right.shape[0]
    step = max(1, MAX_WALKS // max(1, n_columns))
    for first in range(0, n_rows if n_columns else 0, step):
        some = slice(first, min(first + step, n_rows))
        size = (some.stop - first) * n_columns
        values = left.new_empty(size) if relevance is None else relevance[done : done + size]
        done += size
        yield torch.mm(left[some], right.T, out=values.view(-1, n_columns)), some


def _parts(start: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most `step` from `start` to `stop`."""
    for first in range(start, stop, step):
        yield first, min(first + step, stop)


def _groups(stops: list[int], max_rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of atoms (first, beyond the last) whose rows fit one block, or of one atom.

    Atom i has rows stops[i] to stops[i + 1].
    """
    first = 0
    for atom in range(1, len(stops) - 1):
        if stops[atom + 1] - stops[first] > max_rows:
            yield first, atom
            first = atom
    yield first, len(stops) - 1


def joints(chain: Chain) -> Iterator[Joint]:
    """All walks of a chain of at least one layer, as halves that meet in its middle; few at a time."""
    n_before = chain.n_layers // 2
    n_after = chain.n_layers - 1 - n_before
    portions = {n: _portions(chain, n) for n in {n_before, n_after}}
    for last in portions[n_after]:
        after = backward_half(chain, n_after, last)
        for first in portions[n_before]:
            yield Joint.of(chain, n_before, forward_half(chain, n_before, first), after)


def _portions(chain: Chain, n_steps: int) -> list[Tensor]:
    """All atoms, in portions whose half-walks fit the work space."""
    stops = count_half_walks(chain, n_steps).cumsum(0)
    if float(stops[-1]) < MAX_HALF:
        return [chain.all_atoms()]
    portion = (stops / MAX_HALF).floor()
    return [(portion == number).nonzero()[:, 0] for number in portion.unique()]
