"""SO3net: message passing on spherical harmonics, as SchNetPack 2 defines it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.config import RepresentationConfig
from atomlens.models.features import AtomFeatures, EdgeFeatures, edge_features, sum_edges
from atomlens.models.radial import filter_layer, make_basis, make_cutoff
from atomlens.models.so3 import RotationAlgebra, degrees
from atomlens.structures import AtomGraph


def mix(layer: nn.Linear, x: Float[Tensor, "N S I"]) -> Float[Tensor, "N S O"]:
    """Mix channels, component by component; see `atomlens.models.features.mix_vectors` for why it is a plain product.

    Components stay an axis of their own: a recording finds out which of them turn with the molecule.
    """
    return x @ layer.weight.T


class SO3netLayer(nn.Module):
    r"""One interaction of states :math:`x_{isf}` with components s = (l, m) and channels f.

    Convolution, product with itself, gates and a residual step:

    .. math::
        d_{isf} &= \sum_j \sum_{s_1 s_2} C_{s_1 s_2 s}\, w_{l(s_1) f}(d_{ij})\, Y_{s_1}(\hat r_{ij})\, x_{j s_2 f} \\
        g_{is} &= U \Big( d_{is} + \sum_{s_1 s_2} C_{s_1 s_2 s}\, d_{i s_1} \odot V d_{i s_2} \Big) \\
        x_{is} &\leftarrow x_{is} + W \big( g_{is} \odot \sigma(G\,g_{i0} + b)_{l(s)} \big)

    with the filter :math:`w(d) = f_c(d)\,(V_1 e(d) + c_1)` of the radial basis e, the real spherical harmonics Y and
    their coupling coefficients C (`atomlens.models.so3`), and the logistic function σ.
    """

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        features, n_degrees = config.n_features, config.l_max + 1
        self.n_degrees = n_degrees
        self.radial_filter = filter_layer(config.radial, config.radial.n_rbf, features * n_degrees)
        self.product_mix = nn.Linear(features, features, bias=False)
        self.mix_before = nn.Linear(features, features, bias=False)
        self.gate = nn.Linear(features, features * n_degrees)
        self.mix_after = nn.Linear(features, features, bias=False)

    def filters(self, edges: EdgeFeatures) -> Float[Tensor, "E L1 F"]:
        """Channel weights of every edge, one set for each degree of the harmonics."""
        return (self.radial_filter(edges.radial) * edges.envelope[:, None]).unflatten(1, (self.n_degrees, -1))

    def convolve(
        self, x: Float[Tensor, "N K F"], rotors: Float[Tensor, "E S L1 S"], edges: EdgeFeatures
    ) -> Float[Tensor, "N S F"]:
        """Sum of what neighbours send; `x` may have its first K components only, the others being zero."""
        sent = self.filters(edges)[:, :, None] * x[edges.source][:, None]
        carried = torch.bmm(rotors[..., : x.shape[1]].flatten(2), sent.flatten(1, 2))
        return sum_edges(carried, edges.target, len(x))

    def update(self, d: Float[Tensor, "N S F"], algebra: RotationAlgebra) -> Float[Tensor, "N S F"]:
        """What is added to the states, from what came together at every atom."""
        g = mix(self.mix_before, d + algebra.product(d, mix(self.product_mix, d)))
        gates = torch.sigmoid(self.gate(g[:, 0])).unflatten(1, (self.n_degrees, -1))
        return mix(self.mix_after, g * gates[:, degrees(self.n_degrees - 1).to(g.device)])

    def forward(
        self,
        x: Float[Tensor, "N K F"],
        rotors: Float[Tensor, "E S L1 S"],
        edges: EdgeFeatures,
        algebra: RotationAlgebra,
    ) -> Float[Tensor, "N S F"]:
        """Update the states of the atoms; those that enter the first layer have their scalars alone (K = 1)."""
        dx = self.update(self.convolve(x, rotors, edges), algebra)
        known = x.shape[1]
        return x + dx if known == dx.shape[1] else torch.cat([x + dx[:, :known], dx[:, known:]], dim=1)


class SO3net(nn.Module):
    """Element embedding and T interactions; l = 1 leaves as vectors x, y, z."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.max_z, config.n_features)
        self.basis = make_basis(config.radial)
        self.cutoff = make_cutoff(config.cutoff)
        self.algebra = RotationAlgebra(config.l_max)
        first = SO3netLayer(config)
        layers = [
            first if config.shared_interactions or t == 0 else SO3netLayer(config) for t in range(config.n_layers)
        ]
        self.layers: Sequence[SO3netLayer] = cast(Any, nn.ModuleList(layers))

    def forward(self, graph: AtomGraph) -> AtomFeatures:
        """Atom features of a graph."""
        edges = edge_features(graph, self.basis, self.cutoff)
        rotors = self.algebra.rotors(self.algebra.harmonics(edges.directions))
        x = self.embedding(graph.numbers)[:, None]
        for layer in self.layers:
            x = layer(x, rotors, edges, self.algebra)
        # Components of l = 1 are y, z, x.
        return AtomFeatures(x[:, 0], x[:, 1:4].roll(1, 1) if x.shape[1] > 1 else None)
