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

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain
from atomlens.interactions.subsets import Triples, undirected
from atomlens.relevance import ragged_arange

# Rows at a time; a block of 128 float64 channels takes 1 MB and stays in cache from one map to the next.
_PAIR_BLOCK = 1_024


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

    Where the middle layer's staying map and target map are one, l·(stay n) = Q·n, so `left` is Q and `s` is n.
    """

    left: Tensor
    s: Tensor  # n through the middle layer's staying map (or n itself, see above)
    Q: Tensor
    K: Tensor
    D: Tensor  # the left half with all that involves a and b only, pulled along the middle pair
    R: Tensor  # the right half with all that involves a and b only
    onward: Tensor  # l·(what stays of beta[b]): b alone, then on to a


def _per_atom(chain: Chain) -> _Atoms:
    first, middle, last = chain.layers
    atoms = chain.all_atoms()
    beta = first.stay.apply(chain.embedding, atoms) + first.bias
    alpha = last.stay.pull(chain.readout, atoms)
    return _Atoms(
        sent=first.source.apply(chain.embedding, atoms),
        stayed=middle.stay.apply(beta, atoms) + middle.bias,
        k=middle.source.apply(beta, atoms),
        received=last.target.pull(chain.readout, atoms),
        alpha=alpha,
        q=middle.target.pull(alpha, atoms),
    )


def _per_pair(chain: Chain, atoms: _Atoms, pairs: Int[Tensor, " B"], reverse: Int[Tensor, " B"]) -> _Pairs:
    """Vectors of a block of pairs; ``reverse`` is the position of each pair's reverse within the block."""
    first, middle, last = chain.layers
    a, b = chain.pairs.target[pairs], chain.pairs.source[pairs]
    n = first.target.apply(first.edges.apply(atoms.sent.index_select(0, b), pairs), a)
    K = middle.source.apply(n, a)
    l = last.source.pull(last.edges.pull(atoms.received.index_select(0, a), pairs), b)  # noqa: E741
    Q = middle.target.pull(l, b)
    one_map = middle.stay is middle.target
    return _Pairs(
        left=Q if one_map else l,
        s=n if one_map else middle.stay.apply(n, a),
        Q=Q,
        K=K,
        D=middle.edges.pull(atoms.q.index_select(0, a) + Q.index_select(0, reverse), pairs),
        R=atoms.k.index_select(0, b) + K.index_select(0, reverse),
        onward=_dot(l, atoms.stayed.index_select(0, b)),
    )


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return torch.einsum("bf,bf->b", x, y)


def _of_directed(chain: Chain, atoms: _Atoms, vectors: _Pairs, a: Tensor, reverse: Tensor) -> Float[Tensor, " B"]:
    """Contribution of every directed pair to the term of its two atoms."""
    alone = atoms.q if chain.layers[1].stay is chain.layers[1].target else atoms.alpha
    staying = _dot(alone.index_select(0, a) + vectors.left.index_select(0, reverse), vectors.s)
    return staying + vectors.onward + _dot(vectors.D, vectors.R)


def one_body_terms(chain: Chain) -> Float[Tensor, " N"]:
    """Terms of order one of a chain of three layers."""
    atoms = _per_atom(chain)
    return _dot(atoms.alpha, atoms.stayed) + _dot(chain.readout, chain.layers[2].bias) + chain.readout_bias


def pair_terms(chain: Chain) -> Float[Tensor, " P2"]:
    """Terms of order two, in the order of `undirected`, in blocks of bounded memory."""
    atoms = _per_atom(chain)
    terms = []
    for block in undirected(chain.pairs).split(_PAIR_BLOCK):
        both = torch.cat([block, chain.pairs.reverse[block]])
        reverse = torch.arange(len(both), device=both.device).roll(len(block))
        vectors = _per_pair(chain, atoms, both, reverse)
        directed = _of_directed(chain, atoms, vectors, chain.pairs.target[both], reverse)
        terms.append(directed[: len(block)] + directed[len(block) :])
    return torch.cat(terms) if terms else chain.readout.new_zeros(0)


def pair_and_triple_terms(chain: Chain, triples: Triples) -> tuple[Float[Tensor, " P2"], Float[Tensor, " M"]]:
    """Terms of order two, in the order of `undirected`, and of order three, in the order of `triples`."""
    pairs, atoms = chain.pairs, _per_atom(chain)
    everything = torch.arange(pairs.n_pairs, device=pairs.target.device)
    vectors = _per_pair(chain, atoms, everything, pairs.reverse)
    directed = _of_directed(chain, atoms, vectors, pairs.target, pairs.reverse)
    each = undirected(pairs)
    of_path = _open_paths(chain, vectors, triples) + _triangles(chain, vectors, triples)
    terms = directed.new_zeros(len(triples.atoms)).index_add_(0, triples.triple_of_path, of_path)
    return directed[each] + directed[pairs.reverse[each]], terms


def _open_paths(chain: Chain, vectors: _Pairs, triples: Triples) -> Float[Tensor, " Q"]:
    """Walks b - x - c that cross the centre in the middle: an atom's incoming vectors times its outgoing ones."""
    pairs = chain.pairs
    y = chain.layers[1].edges.apply(vectors.R, torch.arange(pairs.n_pairs, device=pairs.target.device))
    if chain.layers[1].stay is chain.layers[1].target:
        incoming = torch.cat([vectors.s + y, vectors.K], dim=1)
        outgoing = torch.cat([vectors.Q, vectors.D], dim=1)
    else:
        incoming = torch.cat([vectors.s, y, vectors.K], dim=1)
        outgoing = torch.cat([vectors.left, vectors.Q, vectors.D], dim=1)
    width = int(pairs.degrees.max()) if pairs.n_pairs else 0
    values = vectors.onward.new_zeros(len(triples.centre))
    first_path = torch.searchsorted(triples.centre, torch.arange(pairs.n_atoms + 1, device=values.device)).tolist()
    step = max(1, _PAIR_BLOCK // max(width, 1))
    for low in range(0, pairs.n_atoms, step):
        high = min(low + step, pairs.n_atoms)
        mine = slice(int(pairs.starts[low]), int(pairs.starts[high - 1] + pairs.degrees[high - 1]))
        row = (pairs.target[mine] - low) * width + ragged_arange(pairs.degrees[low:high])
        shape = (high - low, width, incoming.shape[1])
        right = incoming.new_zeros(shape[0] * width, shape[2]).index_copy_(0, row, incoming[mine])
        left = incoming.new_zeros(shape[0] * width, shape[2]).index_copy_(
            0, row, outgoing.index_select(0, pairs.reverse[mine])
        )
        products = left.view(shape) @ right.view(shape).transpose(1, 2)
        products = products + products.transpose(1, 2)
        paths = slice(first_path[low], first_path[high])
        values[paths] = products[triples.centre[paths] - low, triples.first[paths], triples.second[paths]]
    return values


def _triangles(chain: Chain, vectors: _Pairs, triples: Triples) -> Float[Tensor, " Q"]:
    """Walks x - b - c - x and x - c - b - x around the paths b - x - c whose ends are a pair too."""
    pairs, edges = chain.pairs, chain.layers[1].edges
    to_b = pairs.starts[triples.centre] + triples.first  # the pair (x, b)
    to_c = pairs.starts[triples.centre] + triples.second
    ends, closed = pairs.find(pairs.source[to_c], pairs.source[to_b])  # the pair (c, b)
    values = vectors.onward.new_zeros(len(triples.centre))
    for block in closed.nonzero()[:, 0].split(_PAIR_BLOCK):
        xb, xc, cb = to_b[block], to_c[block], ends[block]
        bx, cx, bc = pairs.reverse[xb], pairs.reverse[xc], pairs.reverse[cb]
        there = _dot(vectors.Q.index_select(0, xc), edges.apply(vectors.K.index_select(0, bx), cb))
        back = _dot(vectors.Q.index_select(0, xb), edges.apply(vectors.K.index_select(0, cx), bc))
        values[block] = there + back
    return values
