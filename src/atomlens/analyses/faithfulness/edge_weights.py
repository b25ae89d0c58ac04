r"""Other ways to attribute a prediction to pairs of atoms: the baselines that interaction terms are compared with.

All but one see the model as a function :math:`f(w)` of a weight on every edge, which multiplies the cutoff function of
that edge in every layer: 1 is the model, 0 an edge that is not there. With weights :math:`w_{ij} = a_i a_j` it
becomes a function of gates of atoms, :math:`a_i = 0` being an atom that nobody sees. Its own, constant energy is no
part of any pair value.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomlens.chain import scalar_output
from atomlens.models import Potential, half_of_edges
from atomlens.structures import AtomGraph, collate

# Edges in one batch; a few arrays of so many rows of features are in memory at once.
_BATCH_EDGES = 40_000


class _Weighted(nn.Module):
    """A cutoff function times weights that are set before each call: of all edges, or of one of every two opposite."""

    def __init__(self, cutoff: nn.Module) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.weights: tuple[Tensor, ...] = ()

    def forward(self, distances: Tensor) -> Tensor:
        return self.cutoff(distances) * next(w for w in self.weights if len(w) == len(distances))


class EdgeWeighted:
    """The number that a model predicts for one structure, as a function of edge weights.

    Parameters
    ----------
    model
        Any `Potential`; a copy is taken.
    graph
        One structure, in the dtype of the model.
    """

    def __init__(self, model: Potential, graph: AtomGraph) -> None:
        self.graph = graph
        self._model = copy.deepcopy(model).requires_grad_(False)
        self._cutoff = _Weighted(model.representation.cutoff)
        self._model.representation.cutoff = self._cutoff

    def __call__(self, weights: Float[Tensor, "K E"]) -> Float[Tensor, " K"]:
        """Predictions for K choices of weights, in the model's own unit; differentiable.

        Opposite edges must have one weight: models that treat both at once read that of one of them.
        """
        step = max(1, _BATCH_EDGES // max(self.graph.n_edges, 1))
        return torch.cat([self._batch(part) for part in weights.split(step)])

    def of_gates(self, gates: Float[Tensor, "K N"]) -> Float[Tensor, " K"]:
        """Predictions for K choices of atom gates."""
        return self(gates[:, self.graph.target] * gates[:, self.graph.source])

    def _batch(self, weights: Float[Tensor, "K E"]) -> Float[Tensor, " K"]:
        graph, flat = collate([self.graph] * len(weights)), weights.flatten()
        self._cutoff.weights = (flat, flat.index_select(0, half_of_edges(graph)[0]))
        return scalar_output(self._model(graph))


def gradient_times_input(model: Potential, graph: AtomGraph, pairs: Int[np.ndarray, "P 2"]) -> Float[np.ndarray, " P"]:
    r"""Gradient x input on the edges: :math:`\mathbf r_{ij}\cdot\partial y/\partial\mathbf r_{ij}`, both directions.

    Every edge vector is an input of its own. For a pair potential it is :math:`r\,u'(r)`.
    """
    offsets = graph.offsets.detach().clone().requires_grad_()
    leaf = replace(graph, offsets=offsets)
    (gradient,) = torch.autograd.grad(scalar_output(model(leaf)).sum(), offsets)
    return _of_pairs((gradient * graph.vectors()).sum(dim=1).detach(), graph, pairs)


def integrated_edges(
    model: Potential, graph: AtomGraph, pairs: Int[np.ndarray, "P 2"], n_nodes: int = 6
) -> Float[np.ndarray, " P"]:
    r"""Integrated gradients over the weights of all edges, from none of them to all (Sundararajan et al.,
    arXiv:1703.01365):

    .. math:: a_{ij} = \int_0^1 \frac{\partial f}{\partial w_{ij}}(t\,1)\, dt, \qquad
        \sum_{i \le j} a_{ij} = f(1) - f(0)

    by Gauss-Legendre quadrature, which is exact for functions of t up to the order :math:`2 n` in the weights; a pair
    has one weight for both directions and all images. f(0) is the prediction for atoms that do not see each other.
    """
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    t, measure = torch.tensor(0.5 * (x + 1.0), dtype=model.dtype), torch.tensor(0.5 * w, dtype=model.dtype)
    low, high = torch.minimum(graph.target, graph.source), torch.maximum(graph.target, graph.source)
    of_pair = t[:, None, None].repeat(1, graph.n_atoms, graph.n_atoms).requires_grad_()
    (slopes,) = torch.autograd.grad(EdgeWeighted(model, graph)(of_pair[:, low, high]).sum(), of_pair)
    values = torch.einsum("k,kij->ij", measure, slopes).numpy()
    return values[pairs.min(axis=1), pairs.max(axis=1)]


def weight_gradient(model: Potential, graph: AtomGraph, pairs: Int[np.ndarray, "P 2"]) -> Float[np.ndarray, " P"]:
    r"""Gradient x weight: :math:`\partial f/\partial w_{ij}` at 1: a deletion to first order."""
    low, high = torch.minimum(graph.target, graph.source), torch.maximum(graph.target, graph.source)
    of_pair = torch.ones(graph.n_atoms, graph.n_atoms, dtype=model.dtype, requires_grad=True)
    y = EdgeWeighted(model, graph)(of_pair[low, high][None]).sum()
    gradient = torch.autograd.grad(y, of_pair)[0].numpy()
    return gradient[pairs.min(axis=1), pairs.max(axis=1)]


def integrated_hessians(
    model: Potential, graph: AtomGraph, pairs: Int[np.ndarray, "P 2"], n_nodes: int = 8
) -> Float[np.ndarray, " P"]:
    r"""Integrated Hessians (Janizek et al., arXiv:2002.04138) over the gates of the atoms, from 0 to 1.

    .. math::
        2 \int_0^1\!\!\int_0^1 \alpha\beta\, \partial_i\partial_j f(\alpha\beta\, 1)\, d\alpha\, d\beta
        = -2 \int_0^1 t \ln t\; \partial_i\partial_j f(t\, 1)\, dt

    by Gauss-Legendre quadrature. A sum of pair potentials in the products :math:`a_i a_j` gives half of each; the
    other half is on the diagonal.
    """
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    t = torch.tensor(0.5 * (x + 1.0), dtype=model.dtype)
    measure = torch.tensor(0.5 * w, dtype=model.dtype) * -t * torch.log(t)
    gates = (t[:, None] * torch.ones(graph.n_atoms, dtype=model.dtype)).requires_grad_()
    (first,) = torch.autograd.grad(EdgeWeighted(model, graph).of_gates(gates).sum(), gates, create_graph=True)
    second = [
        torch.autograd.grad(first[:, i].sum(), gates, retain_graph=True, materialize_grads=True)[0]
        for i in range(graph.n_atoms)
    ]
    hessian = 2.0 * torch.einsum("k,ikj->ij", measure, torch.stack(second)).numpy()
    return hessian[pairs[:, 0], pairs[:, 1]]


def subset_values(model: Potential, graph: AtomGraph) -> Float[np.ndarray, " K"]:
    """Predictions with every subset of atoms switched on, indexed by its bits (atom 0 the lowest), K = 2^N."""
    n = graph.n_atoms
    number = torch.arange(2**n)
    gates = (number[:, None] >> torch.arange(n)) & 1
    with torch.no_grad():
        return EdgeWeighted(model, graph).of_gates(gates.to(model.dtype)).numpy()


def plain_removal(values: Float[np.ndarray, " K"], sets: Int[np.ndarray, "M k"]) -> Float[np.ndarray, " M"]:
    r"""Inclusion-exclusion from above: :math:`\sum_{U \subseteq S} (-1)^{|U|}\, y(\text{all atoms but } U)`.

    For a pair y - y(without i) - y(without j) + y(without both). Of a sum of pairs and triples it gives every triple
    exactly, and every pair plus all triples that hold it.
    """
    total = np.zeros(len(sets))
    for size in range(sets.shape[1] + 1):
        for chosen in combinations(range(sets.shape[1]), size):
            gone = (1 << sets[:, list(chosen)]).sum(axis=1).astype(np.int64)
            total += (-1) ** size * values[len(values) - 1 - gone]
    return total


def _of_pairs(per_edge: Tensor, graph: AtomGraph, pairs: Int[np.ndarray, "P 2"]) -> Float[np.ndarray, " P"]:
    """Sum over both directions, and over all images, of every pair."""
    n = graph.n_atoms
    sums = per_edge.new_zeros(n, n).index_put_((graph.target, graph.source), per_edge, accumulate=True).numpy()
    return sums[pairs[:, 0], pairs[:, 1]] + sums[pairs[:, 1], pairs[:, 0]]
