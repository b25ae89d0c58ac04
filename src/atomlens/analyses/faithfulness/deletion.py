r"""Delete a pair of edges, or all edges of an atom, from the message passing: what changes, and what walks predict.

The structure stays, only messages stop. True changes are predictions of the model with the edges left out of its graph.
What walks predict is the relevance of every walk that uses the deleted edges, under the chain of the whole
structure: exact sums, no list of walks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomlens.chain import Chain, EdgeOperator, Edges, scalar_output
from atomlens.models import Potential
from atomlens.relevance import AtomSets, restricted_sums
from atomlens.structures import AtomGraph, collate

# Edges in one batch of masked graphs.
_BATCH_EDGES = 40_000


def without_edges(graph: AtomGraph, deleted: Bool[Tensor, " E"]) -> AtomGraph:
    """The same atoms with some edges left out."""
    kept = ~deleted
    return replace(graph, target=graph.target[kept], source=graph.source[kept], offsets=graph.offsets[kept])


def edges_of_pair(graph: AtomGraph, i: int, j: int) -> Bool[Tensor, " E"]:
    """Edges between two atoms, in both directions and to all images."""
    t, s = graph.target, graph.source
    return ((t == i) & (s == j)) | ((t == j) & (s == i))


def edges_of_atom(graph: AtomGraph, k: int) -> Bool[Tensor, " E"]:
    """Edges between one atom and any other; those to its own images stay."""
    return (graph.target == k) != (graph.source == k)


def changes(model: Potential, graph: AtomGraph, deleted: list[Bool[Tensor, " E"]]) -> Float[np.ndarray, " M"]:
    """What each set of edges adds to the prediction: y - y(without them), in the model's own unit."""
    graphs = [graph, *(without_edges(graph, edges) for edges in deleted)]
    step = max(1, _BATCH_EDGES // max(graph.n_edges, 1))
    with torch.no_grad():
        y = torch.cat([scalar_output(model(collate(graphs[k : k + step]))) for k in range(0, len(graphs), step)])
    return (y[0] - y[1:]).numpy()


@dataclass(frozen=True)
class _Masked(EdgeOperator):
    """An edge operator that carries nothing along some pairs."""

    inner: EdgeOperator
    kept: Float[Tensor, " P"]

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        carried = self.inner.apply(m, edges)
        return carried * self._rows(edges, carried)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        return self.inner.pull(u * self._rows(edges, u), edges)

    def norms(self) -> Float[Tensor, " P"]:
        return self.inner.norms() * self.kept

    def _rows(self, edges: Edges, like: Tensor) -> Tensor:
        kept = self.kept if edges is None else self.kept[edges]
        return kept.reshape(-1, *[1] * (like.dim() - 1))


def walks_along_pairs(chain: Chain, pairs: Int[np.ndarray, "M 2"]) -> Float[np.ndarray, " M"]:
    """Relevance of all walks that use the pair (i, j) in either direction, at least once; bias walks included."""
    everything = chain.sum_of_walks()
    target, source = chain.pairs.target, chain.pairs.source
    sums = []
    for i, j in pairs.tolist():
        kept = ~(((target == i) & (source == j)) | ((target == j) & (source == i)))
        layers = tuple(replace(t, edges=_Masked(t.edges, kept.to(chain.readout.dtype))) for t in chain.layers)
        sums.append(everything - replace(chain, layers=layers).sum_of_walks())
    return np.array(sums, dtype=np.float64)


def walks_through_atoms(chain: Chain, atoms: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
    r"""Relevance of all walks that visit an atom k and some other: :math:`\sum_{S \ni k,\, |S| > 1} I(S)`."""
    n = chain.n_atoms
    others = [[i for i in range(n) if i != k] for k in atoms.tolist()]
    if n < 2:
        return np.zeros(len(atoms))
    rest = restricted_sums(chain, AtomSets.of(others))
    alone = restricted_sums(chain, AtomSets.of([[k] for k in atoms.tolist()]))
    return (chain.sum_of_walks() - rest - alone).numpy()
