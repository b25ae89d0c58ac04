"""PaiNN: equivariant message passing (Schütt, Unke, Gastegger, arXiv:2102.03150)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.activations import activation_by_name
from atomlens.models.config import RepresentationConfig
from atomlens.models.fast import PairFeatures, pair_features, sum_messages
from atomlens.models.features import AtomFeatures, EdgeFeatures, mix_vectors, sum_edges
from atomlens.models.radial import filter_layer, make_basis, make_cutoff
from atomlens.structures import AtomGraph


class PaiNNInteraction(nn.Module):
    r"""Messages between atoms.

    With :math:`c_j = W_2\,a(W_1 q_j + b_1) + b_2` in three parts s, R, v and filters w of the same parts,

    .. math::
        q_i \leftarrow q_i + \sum_j w^s_{ij} \odot c^s_j, \qquad
        \mu_i \leftarrow \mu_i + \sum_j (w^R_{ij} \odot c^R_j)\, \hat r_{ij} + w^v_{ij} \odot c^v_j \odot \mu_j
    """

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        features = config.n_features
        self.activation = activation_by_name(config.activation)
        self.context_in = nn.Linear(features, features)
        self.context_out = nn.Linear(features, 3 * features)

    def context(self, q: Float[Tensor, "N F"]) -> Float[Tensor, "N F3"]:
        """Per-atom factors c of the messages."""
        return self.context_out(self.activation(self.context_in(q)))

    def forward(
        self, q: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"], filters: Tensor, edges: EdgeFeatures
    ) -> tuple[Float[Tensor, "N F"], Float[Tensor, "N 3 F"]]:
        """Update scalars and vectors by the messages of the neighbours."""
        messages = filters * self.context(q)[edges.source]
        scalar, radial, vector = messages.chunk(3, dim=-1)
        dmu = radial[:, None, :] * edges.directions[:, :, None] + vector[:, None, :] * mu[edges.source]
        return q + sum_edges(scalar, edges.target, len(q)), mu + sum_edges(dmu, edges.target, len(q))

    def between_pairs(
        self,
        q: Float[Tensor, "N F"],
        mu: Float[Tensor, "N 3 F"] | None,
        weight: Float[Tensor, "F3 R1"],
        expansion: Float[Tensor, "P R1"],
        pairs: PairFeatures,
    ) -> tuple[Float[Tensor, "N F"], Float[Tensor, "N 3 F"]]:
        """The same update, fast: filters are made from `expansion` as they are needed; `mu` of None is zero."""
        context, features = self.context(q), q.shape[1]
        if mu is None:
            states, weight = context[:, : 2 * features], weight[: 2 * features]
        else:
            # c^v_j and μ_j belong to one atom, and are multiplied atom by atom.
            vectors = context[:, None, 2 * features :] * mu
            states = torch.cat([context[:, : 2 * features], vectors.flatten(1)], dim=1)
        received = sum_messages(expansion, weight, pairs.directions, states, pairs.target, pairs.source)
        dq, dmu = received[:, :features], received[:, features:].unflatten(1, (3, features))
        return q + dq, dmu if mu is None else mu + dmu


class PaiNNMixing(nn.Module):
    r"""Exchange between scalars and vectors of one atom.

    With :math:`V = \mu W_V`, :math:`W = \mu W_W`, :math:`n = \sqrt{|V|^2 + \epsilon}` and
    :math:`(a, b, e) = U_2\,a(U_1 [q, n] + u_1) + u_2`,

    .. math:: q \leftarrow q + a + e \odot \langle V, W \rangle, \qquad \mu \leftarrow \mu + b \odot W
    """

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        features = config.n_features
        self.activation = activation_by_name(config.activation)
        self.epsilon = config.epsilon
        self.vector_mix = nn.Linear(features, 2 * features, bias=False)
        self.context_in = nn.Linear(2 * features, features)
        self.context_out = nn.Linear(features, 3 * features)

    def forward(
        self, q: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"]
    ) -> tuple[Float[Tensor, "N F"], Float[Tensor, "N 3 F"]]:
        """Update scalars and vectors of every atom by each other."""
        v, w = mix_vectors(self.vector_mix, mu).chunk(2, dim=-1)
        norm = torch.sqrt(torch.sum(v * v, dim=1) + self.epsilon)
        context = self.context_out(self.activation(self.context_in(torch.cat([q, norm], dim=-1))))
        a, b, e = context.chunk(3, dim=-1)
        return q + a + e * torch.sum(v * w, dim=1), mu + b[:, None, :] * w


class PaiNN(nn.Module):
    """Element embedding and T pairs of interaction and mixing."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.max_z, config.n_features)
        self.basis = make_basis(config.radial)
        self.cutoff = make_cutoff(config.cutoff)
        n_filters = 1 if config.shared_filters else config.n_layers
        self.filter_net = filter_layer(config.radial, config.radial.n_rbf, 3 * config.n_features * n_filters)
        shared, n = config.shared_interactions, config.n_layers
        interaction, mixing = PaiNNInteraction(config), PaiNNMixing(config)
        interactions = [interaction if shared or t == 0 else PaiNNInteraction(config) for t in range(n)]
        mixings = [mixing if shared or t == 0 else PaiNNMixing(config) for t in range(n)]
        self.interactions: Sequence[PaiNNInteraction] = cast(Any, nn.ModuleList(interactions))
        self.mixings: Sequence[PaiNNMixing] = cast(Any, nn.ModuleList(mixings))

    def filter_weights(self, layer: int, parts: int = 3) -> Float[Tensor, "O R1"]:
        """Weights of a layer's filters over `EdgeFeatures.expansion`: the first `parts` of scalar, radial, vector."""
        width, net = self.config.n_features, self.filter_net
        first = 0 if self.config.shared_filters else layer * 3 * width
        wanted = slice(first, first + parts * width)
        return torch.cat([net.weight[wanted], net.bias[wanted, None]], dim=1)

    def filters(self, layer: int, edges: EdgeFeatures) -> Float[Tensor, "E F3"]:
        """Filters w of one layer, in the order scalar, radial, vector."""
        return edges.expansion @ self.filter_weights(layer).T

    def forward(self, graph: AtomGraph) -> AtomFeatures:
        """Atom features of a graph."""
        pairs = pair_features(graph, self.basis, self.cutoff)
        expansion = pairs.expansion()
        net = self.filter_net
        weights = torch.cat([net.weight, net.bias[:, None]], dim=1).split(3 * self.config.n_features)
        q, mu = self.embedding(graph.numbers), None
        for t, (interaction, mixing) in enumerate(zip(self.interactions, self.mixings, strict=True)):
            weight = weights[0 if self.config.shared_filters else t]
            q, mu = interaction.between_pairs(q, mu, weight, expansion, pairs)
            q, mu = mixing(q, mu)
        return AtomFeatures(q, mu)
