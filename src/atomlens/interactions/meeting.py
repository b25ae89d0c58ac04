r"""Terms of order one, two and three of a chain of three layers, straight from its pairs.

A walk (w_0, w_1, w_2, w_3) is cut at its middle step. What arrives at w_1 comes from w_1 itself or from one
neighbour, and what leaves w_2 goes to w_2 or one neighbour: vectors for every atom and every directed pair are all
that is needed, and terms are their scalar products. No set is pushed through the chain, nothing is subtracted.

Notation, for a pair e = (a, b), state going from b to a:

- right of the cut, state at time 1: ``beta[a]`` (alone), ``n[e]`` (from b);
- left of the cut, derivative at time 2: ``alpha[a]`` (alone), ``l[e]`` at b (on to a);
- through the middle layer's maps: ``k[b], K[e]`` (source), ``q[a], Q[e]`` (target, pulled), staying otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain
from atomlens.interactions.subsets import Triples, undirected

# Numbers in one array of a block: 2 MB of float64, which stays in cache from one map to the next.
_BLOCK = 262_144


@dataclass(frozen=True)
class _Atoms:
    """Per-atom vectors on both sides of the cut."""

    sent: Tensor  # source map of layer 0 on the embedding
    stayed: Tensor  # what stays in the middle layer from beta, its bias included
    k: Tensor
    received: Tensor  # readout pulled through the target map of layer 2
    alpha: Tensor
    q: Tensor


@dataclass(frozen=True)
class _Pairs:
    """Per-pair vectors on both sides of the cut, for directed pairs closed under reversal.

    Where the middle layer's staying map and target map are one, l·(stay n) = Q·n, so `left` is Q, and `s` is n, which
    `arrived` has in it already.
    """

    left: Tensor
    s: Tensor  # n through the middle layer's staying map (or n itself, see above)
    Q: Tensor
    K: Tensor
    pulled: Tensor  # the left half with all that involves a and b only, at the target of the middle pair
    arrived: Tensor  # the right half with all that involves a and b only, carried along the middle pair
    onward: Tensor  # l·(what stays of beta[b]): b alone, then on to a


def _per_atom(chain: Chain) -> _Atoms:
    first, middle, last = chain.layers
    beta = first.stay.apply(chain.embedding, None) + first.bias
    received = last.target.pull(chain.readout, None)
    alpha = received if last.stay is last.target else last.stay.pull(chain.readout, None)
    return _Atoms(
        sent=first.source.apply(chain.embedding, None),
        stayed=middle.stay.apply(beta, None) + middle.bias,
        k=middle.source.apply(beta, None),
        received=received,
        alpha=alpha,
        q=middle.target.pull(alpha, None),
    )


def _per_pair(chain: Chain, atoms: _Atoms, pairs: Int[Tensor, " B"]) -> _Pairs:
    """Vectors of a block of pairs; the second half of the block are the reverses of the first."""
    first, middle, last = chain.layers
    a, b = chain.pairs.target[pairs], chain.pairs.source[pairs]
    n = first.edges.arrive(atoms.sent.index_select(0, b), pairs, first.target, a)
    K = middle.source.apply(n, a)
    l = last.source.pull(last.edges.pull(atoms.received.index_select(0, a), pairs), b)  # noqa: E741
    Q = middle.target.pull(l, b)
    arrived = middle.edges.apply(_add_reversed(atoms.k.index_select(0, b), K), pairs)
    one_map = middle.stay is middle.target
    return _Pairs(
        left=Q if one_map else l,
        s=n if one_map else middle.stay.apply(n, a),
        Q=Q,
        K=K,
        pulled=_add_reversed(atoms.q.index_select(0, a), Q),
        arrived=arrived.add_(n) if one_map else arrived,
        onward=_dot(l, atoms.stayed.index_select(0, b)),
    )


def _add_reversed(x: Float[Tensor, "B C"], y: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """Add to every pair's vector, in place, another one of the reverse pair."""
    half = len(x) // 2
    x[:half] += y[half:]
    x[half:] += y[:half]
    return x


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, y)


def _rows(*widths: int) -> int:
    """Rows of a block whose widest array has so many channels."""
    return max(1, _BLOCK // max(widths))


def _pair_blocks(chain: Chain) -> Iterator[Int[Tensor, " B"]]:
    """Blocks of directed pairs: some pairs and then, in equal order, their reverses."""
    widths = [layer.bias.shape[1] for layer in chain.layers]
    for block in undirected(chain.pairs).split(max(1, _rows(*widths) // 2)):
        yield torch.cat([block, chain.pairs.reverse[block]])


def _of_directed(atoms: _Atoms, vectors: _Pairs, a: Tensor, *, one_map: bool) -> Float[Tensor, " B"]:
    """Contribution of every directed pair to the term of its two atoms."""
    if one_map:
        return _dot(vectors.pulled, vectors.arrived).add_(vectors.onward)
    alone = _add_reversed(atoms.alpha.index_select(0, a), vectors.left)
    return _dot(alone, vectors.s) + vectors.onward + _dot(vectors.pulled, vectors.arrived)


def meeting_terms(chain: Chain, max_order: int, triples: Triples | None = None) -> list[Float[Tensor, " _"]]:
    """Terms of order one to `max_order` of a chain of three layers, in blocks of bounded memory.

    Pairs are in the order of `undirected`, triples in that of `triples`, which order three needs.
    """
    atoms = _per_atom(chain)
    terms = [_dot(atoms.alpha, atoms.stayed) + _dot(chain.readout, chain.layers[2].bias) + chain.readout_bias]
    if max_order == 1:
        return terms
    through = None if triples is None else _Through(chain, atoms)
    of_pairs = terms[0].new_empty(chain.pairs.n_pairs // 2)
    first = 0
    one_map = chain.layers[1].stay is chain.layers[1].target
    for both in _pair_blocks(chain):
        vectors = _per_pair(chain, atoms, both)
        directed = _of_directed(atoms, vectors, chain.pairs.target[both], one_map=one_map)
        # In its place at once: small results that stay would break up the memory that blocks use again.
        of_pairs[first : first + len(both) // 2] = directed.view(2, -1).sum(dim=0)
        first += len(both) // 2
        if through is not None:
            through.put(chain, vectors, both)
    terms.append(of_pairs)
    if through is not None and triples is not None:
        of_path = _open_paths(chain, through, triples) + _triangles(chain, through, triples)
        terms.append(of_path.new_zeros(len(triples.atoms)).index_add_(0, triples.triple_of_path, of_path))
    return terms


class _Through:
    """Vectors that come to an atom x and go on from it, for pairs (x, b) in order.

    `incoming` has what comes from b to x, `outgoing` what goes on from x to b, in equal order of channels: a walk
    b - x - c is incoming[x, b]·outgoing[x, c]. The first channels of outgoing are `Q`, the last of incoming `K`.
    """

    def __init__(self, chain: Chain, atoms: _Atoms) -> None:
        self.one_map = chain.layers[1].stay is chain.layers[1].target
        to_q, to_k, stay = atoms.q.shape[1], atoms.k.shape[1], 0 if self.one_map else atoms.stayed.shape[1]
        self.incoming = atoms.k.new_empty(chain.pairs.n_pairs, to_q + stay + to_k)
        self.outgoing = torch.empty_like(self.incoming)
        self.Q, self.K = self.outgoing[:, :to_q], self.incoming[:, -to_k:]

    def put(self, chain: Chain, vectors: _Pairs, both: Int[Tensor, " B"]) -> None:
        """Keep the vectors of a block of pairs."""
        pulled = chain.layers[1].edges.pull(vectors.pulled, both)
        incoming = [vectors.arrived, vectors.K] if self.one_map else [vectors.arrived, vectors.s, vectors.K]
        outgoing = [vectors.Q, pulled] if self.one_map else [vectors.Q, vectors.left, pulled]
        _write(self.incoming, both, incoming)
        _write(self.outgoing, both.roll(len(both) // 2), outgoing)  # l[e] goes from b to a


def _write(room: Float[Tensor, "P _"], rows: Int[Tensor, " B"], parts: list[Tensor]) -> None:
    """Write vectors side by side into some rows."""
    stops = [0, *accumulate(part.shape[1] for part in parts)]
    for first, last, part in zip(stops, stops[1:], parts, strict=False):
        room[rows, first:last] = part


def _open_paths(chain: Chain, through: _Through, triples: Triples) -> Float[Tensor, " Q"]:
    """Walks b - x - c that cross the centre in the middle: an atom's incoming vectors times its outgoing ones."""
    starts, degrees = chain.pairs.starts, chain.pairs.degrees
    squares = degrees * degrees
    products = through.K.new_empty(int(squares.sum()))
    for first, degree, out in zip(starts.tolist(), degrees.tolist(), products.split(squares.tolist()), strict=True):
        here = slice(first, first + degree)
        torch.mm(through.incoming[here], through.outgoing[here].T, out=out.view(degree, degree))
    x, b, c = triples.centre, triples.first, triples.second
    before, degree = (squares.cumsum(0) - squares)[x], degrees[x]
    return products[before + b * degree + c] + products[before + c * degree + b]


def _triangles(chain: Chain, through: _Through, triples: Triples) -> Float[Tensor, " Q"]:
    """Walks x - b - c - x and x - c - b - x around the paths b - x - c whose ends are a pair too."""
    pairs, edges = chain.pairs, chain.layers[1].edges
    to_b = pairs.starts[triples.centre] + triples.first  # the pair (x, b)
    to_c = pairs.starts[triples.centre] + triples.second
    ends, closed = pairs.find(pairs.source[to_c], pairs.source[to_b])  # the pair (c, b)
    values = through.K.new_zeros(len(triples.centre))
    for block in closed.nonzero()[:, 0].split(_rows(through.K.shape[1], through.Q.shape[1])):
        xb, xc, cb = to_b[block], to_c[block], ends[block]
        bx, cx, bc = pairs.reverse[xb], pairs.reverse[xc], pairs.reverse[cb]
        there = _dot(through.Q.index_select(0, cx), edges.apply(through.K.index_select(0, bx), cb))
        back = _dot(through.Q.index_select(0, bx), edges.apply(through.K.index_select(0, cx), bc))
        values[block] = there + back
    return values
