"""SchNet: continuous-filter convolutions (Schütt et al., arXiv:1706.08566)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.activations import activation_by_name
from atomlens.models.config import RepresentationConfig
from atomlens.models.fast import PairFeatures, convolve, pair_features
from atomlens.models.features import AtomFeatures, EdgeFeatures, sum_edges
from atomlens.models.radial import filter_layer, make_basis, make_cutoff
from atomlens.structures import AtomGraph


class SchNetLayer(nn.Module):
    r"""One interaction block.

    .. math::
        x_i \leftarrow x_i + W_3\, a\Big(W_2 \sum_{j \in N(i)} w(d_{ij}) \odot W_1 x_j + b_2\Big) + b_3

    with the filter :math:`w(d) = f_c(d)\,(V_2\, a(V_1 e(d) + c_1) + c_2)` of the radial basis e.
    """

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        features, filters = config.n_features, config.n_filters or config.n_features
        self.activation = activation_by_name(config.activation)
        self.filter_in = filter_layer(config.radial, config.radial.n_rbf, filters)
        self.filter_out = filter_layer(config.radial, filters, filters)
        self.source = nn.Linear(features, filters, bias=False)
        self.update_in = nn.Linear(filters, features)
        self.update_out = nn.Linear(features, features)

    def filters(self, edges: EdgeFeatures | PairFeatures) -> Float[Tensor, "E M"]:
        """Channel weights of every edge, or pair."""
        hidden = self.activation(self.filter_in(edges.radial))
        return self.filter_out(hidden).mul_(edges.envelope[:, None])

    def forward(self, x: Float[Tensor, "N F"], edges: EdgeFeatures) -> Float[Tensor, "N F"]:
        """Update the states of the atoms."""
        messages = self.source(x)[edges.source] * self.filters(edges)
        return self.update(x, sum_edges(messages, edges.target, len(x)))

    def between_pairs(self, x: Float[Tensor, "N F"], pairs: PairFeatures) -> Float[Tensor, "N F"]:
        """The same update, fast."""
        return self.update(x, convolve(self.filters(pairs), self.source(x), pairs.target, pairs.source))

    def update(self, x: Float[Tensor, "N F"], gathered: Float[Tensor, "N M"]) -> Float[Tensor, "N F"]:
        """States after what the neighbours sent has come together."""
        return x + self.update_out(self.activation(self.update_in(gathered)))


class SchNet(nn.Module):
    """Element embedding and T interaction blocks."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.max_z, config.n_features)
        self.basis = make_basis(config.radial)
        self.cutoff = make_cutoff(config.cutoff)
        first = SchNetLayer(config)
        layers = [
            first if config.shared_interactions or t == 0 else SchNetLayer(config) for t in range(config.n_layers)
        ]
        self.layers: Sequence[SchNetLayer] = cast(Any, nn.ModuleList(layers))

    def forward(self, graph: AtomGraph) -> AtomFeatures:
        """Atom features of a graph."""
        pairs = pair_features(graph, self.basis, self.cutoff)
        x = self.embedding(graph.numbers)
        for layer in self.layers:
            x = layer.between_pairs(x, pairs)
        return AtomFeatures(x)
