"""Closed forms of PaiNN's chain: vectors that only gate (`scalar`), or that carry relevance too (`full`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Layer
from atomlens.chain.edges import ChannelWeights, EdgeOperator, Images, OwnImages
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.on_demand import OnDemand
from atomlens.chain.operators import AtomOperator, Compose, GatedSum, Residual, Total
from atomlens.chain.painn_vectors import FromScalars, VectorMixing, VectorSource
from atomlens.chain.rules import Affine, Rule
from atomlens.chain.vector_edges import VectorFilters, VectorWeights
from atomlens.models import AtomFeatures, EdgeFeatures, PaiNN, PaiNNMixing, mix_vectors

# Layers with more weights than this (128 MB in float64) make each when it is asked for.
_KEPT = 2**24


@dataclass(frozen=True)
class _Messages:
    """What one interaction did.

    The map from state to message; the maps of all edges; the state after it; what every atom gathered of offsets of
    messages, (N, F) or with vectors (N, 4F).
    """

    source: AtomOperator
    edges: EdgeOperator
    q: Float[Tensor, "N F"]
    mu: Float[Tensor, "N 3 F"]
    offset: Float[Tensor, "N _"]


def painn_layers(
    model: PaiNN, edges: EdgeBlocks, images: Images, rule: Rule, product_rule: str
) -> tuple[list[Layer], AtomFeatures]:
    """Layers of the chain, and the model's own atom features.

    With ``product_rule="scalar"`` the state is q (F channels) and vectors are constants; with ``"full"`` it is
    [q, μ_x, μ_y, μ_z] (4F channels) and each factor of a product carries its share of the relevance. Before the first
    layer it is q: there are no vectors yet.
    """
    q = model.embedding(edges.numbers)
    mu = q.new_zeros(len(q), 3, q.shape[1])
    full = product_rule == "full"
    many = edges.graph.n_edges * q.shape[1] * (3 if full else 1) > _KEPT
    edges = replace(edges, kept=(edges.kept and not many) or not images.every_edge_is_a_pair)
    layers = []
    for t, mixing in enumerate(model.mixings):
        messages = (_interact_with_vectors if full else _interact)(model, t, q, mu, edges, rule)
        mixed = _mix(mixing, messages.q, messages.mu, rule, full)
        if full:
            weight = mixing.vector_mix.weight.detach()
            layers.append(_full_layer(messages, mixed, images, rule, weight, first=t == 0))
        else:
            layers.append(_scalar_layer(messages, mixed, images))
        q, mu = mixed.apply(messages.q, messages.mu)
    return layers, AtomFeatures(q, mu)


def _interact(
    model: PaiNN, t: int, q: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"], edges: EdgeBlocks, rule: Rule
) -> _Messages:
    """One interaction where vectors only gate: messages are scalars, and take the first F outputs of the context."""
    interaction, width = model.interactions[t], q.shape[1]
    out = interaction.context_out
    first, active = rule.dense(interaction.context_in, interaction.activation, q)
    value = out(active)
    context = first.then(rule.linear(out.weight[:width], out.bias[:width], active))

    new_q, new_mu, offset = q.clone(), mu.clone(), torch.zeros_like(q)
    weights, filter_weights = edges.room(q, width), model.filter_weights(t).detach()
    for block, kept_weights in zip(edges, edges.parts(weights), strict=True):
        filters = block.expansion @ filter_weights.T
        s, r, v = (filters * value.index_select(0, block.source)).chunk(3, dim=-1)
        new_q.index_add_(0, block.target, s)
        dmu = r[:, None, :] * block.directions[:, :, None]
        if t > 0:  # vectors start at zero
            dmu.addcmul_(v[:, None, :], mu.index_select(0, block.source))
        new_mu.index_add_(0, block.target, dmu)
        kept_weights.copy_(filters[:, :width])
        offset.index_add_(0, block.target, kept_weights * context.bias.index_select(0, block.source))
    if edges.kept:
        kept: EdgeOperator = ChannelWeights(weights)
    else:
        kept = OnDemand(edges.whole, partial(_gate_weights, filter_weights[:width]))
    return _Messages(context.operator, kept, new_q, new_mu, offset)


def _gate_weights(weights: Float[Tensor, "F R1"], edges: EdgeFeatures) -> ChannelWeights:
    """Weights of scalar messages along edges."""
    return ChannelWeights(edges.expansion @ weights.T)


def _vector_filters(
    weights: Float[Tensor, "O R1"], parts: int, edges: EdgeFeatures, room: Float[Tensor, "E O"] | None = None
) -> VectorFilters:
    """Filters of messages [s, R] or [s, R, P] along edges, written to `room` where there is some."""
    filters = torch.mm(edges.expansion, weights.T, out=room)
    return VectorFilters(filters.unflatten(1, (parts, -1)), edges.directions)


def _interact_with_vectors(
    model: PaiNN, t: int, q: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"], edges: EdgeBlocks, rule: Rule
) -> _Messages:
    """One interaction where messages are [s, R, P], P = v μ; they and their offsets go along the edges side by side.

    In the first layer there are no vectors yet, and messages are [s, R].
    """
    interaction, share, width = model.interactions[t], rule.product_share, q.shape[1]
    out, parts = interaction.context_out, 3 if t > 0 else 2
    weight, bias = out.weight[: parts * width], out.bias[: parts * width]
    first, active = rule.dense(interaction.context_in, interaction.activation, q)
    context = first.then(rule.linear(weight, bias, active))
    value = torch.addmm(bias, active, weight.T)
    sent, source = torch.stack([value, context.bias], dim=1), context.operator
    if t > 0:
        sent, before = q.new_empty(len(q), 2, 5, width), sent.unflatten(2, (3, -1))
        sent[:, :, :2] = before[:, :, :2]
        # v μ = share (v_frozen μ + v μ_frozen) + (1 - 2 share) v_frozen μ_frozen, and v itself has an offset.
        product = torch.mul(before[:, 0, 2:], mu, out=sent[:, 0, 2:])
        left = torch.mul(share * before[:, 1, 2:], mu, out=sent[:, 1, 2:])
        if share != 0.5:
            left.add_(product, alpha=1 - 2 * share)
        sent = sent.flatten(2)
        source = VectorSource.of(context.operator, before[:, 0, 2], mu, share)

    gathered = q.new_zeros(len(q), 2, 4 * width)
    filters, filter_weights = edges.room(q, parts * width), model.filter_weights(t, parts).detach()
    for block, room in zip(edges, edges.parts(filters), strict=True):
        operator = _vector_filters(filter_weights, parts, block, room)
        gathered.index_add_(0, block.target, operator.apply(sent.index_select(0, block.source), None))
    received = gathered[:, 0].unflatten(1, (4, -1))
    if edges.kept:
        directions = torch.cat([block.directions for block in edges])
        kept: EdgeOperator = VectorFilters(filters.unflatten(1, (parts, -1)), directions)
    else:
        kept = OnDemand(edges.whole, partial(_vector_filters, filter_weights, parts))
    return _Messages(source, kept, q + received[:, 0], mu + received[:, 1:], gathered[:, 1])


@dataclass(frozen=True)
class _Mixing:
    """What one mixing did: its context (a, b, e) as an affine map and by value, and the vectors [V, W] and norms."""

    context: Affine
    value: Float[Tensor, "N F3"]
    vectors: Float[Tensor, "N 6 F"]
    norm: Float[Tensor, "N F"]
    dot: Float[Tensor, "N F"]

    def apply(self, q: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
        """State after the mixing, as the model itself computes it."""
        a, b, e = self.value.chunk(3, dim=-1)
        return torch.addcmul(q, e, self.dot).add_(a), torch.addcmul(mu, b[:, None], self.vectors[:, 3:])

    @cached_property
    def inverse_norm(self) -> Float[Tensor, "N F"]:
        """1 / n, zero where n is."""
        return torch.where(self.norm == 0, 0.0, 1.0 / torch.where(self.norm == 0, 1.0, self.norm))

    def with_offsets(self, mix: VectorMixing, x: Float[Tensor, "N F4"], share: float) -> Float[Tensor, "N F4"]:
        """The map of offsets x that arrive, and what it leaves out: biases, remainders of norms and products."""
        v, w = self.vectors.split(3, dim=1)
        bias = mix.with_offsets(x, self.norm - (v * v).sum(dim=1).mul_(self.inverse_norm), self.context.bias)
        left = 1 - 2 * share
        if left:
            # dot = share (2 dot_frozen) + left dot_frozen,
            # e dot = share (e_frozen dot + e dot_frozen) + left e_frozen dot_frozen
            _, b, e = self.value.chunk(3, dim=-1)
            rest = left * torch.cat([((1 + share) * e * self.dot)[:, None], b[:, None] * w], dim=1)
            bias = bias + rest.flatten(1)
        return bias


def _mix(mixing: PaiNNMixing, q: Tensor, mu: Tensor, rule: Rule, full: bool) -> _Mixing:
    """Mix; the context's affine map is of [q, n] to (a, b, e), or of q to (a, e) where vectors only gate."""
    v, w = mix_vectors(mixing.vector_mix, mu).chunk(2, dim=-1)
    vectors = torch.cat([v, w], dim=1)
    v, w = vectors.split(3, dim=1)
    norm = torch.sqrt((v * v).sum(dim=1).add_(mixing.epsilon))
    weight, bias = mixing.context_out.weight, mixing.context_out.bias
    if full:
        first, active = rule.dense(mixing.context_in, mixing.activation, torch.cat([q, norm], dim=-1))
    else:
        first, active = rule.dense(mixing.context_in, mixing.activation, q, frozen=norm)
        width = q.shape[1]
        weight, bias = (torch.cat([x[:width], x[2 * width :]]) for x in (weight, bias))
    value = mixing.context_out(active)
    context = first.then(rule.linear(weight, bias, active))
    return _Mixing(context, value, vectors, norm, dot=(v * w).sum(dim=1))


def _scalar_layer(messages: _Messages, mixed: _Mixing, images: Images) -> Layer:
    gated = GatedSum(mixed.dot)
    mix = Residual(Compose((mixed.context.operator, gated)))
    bias = mix.apply(messages.offset, None) + gated.apply(mixed.context.bias, None)
    return _layer(messages, mix, mix, bias, images)


def _full_layer(
    messages: _Messages,
    mixed: _Mixing,
    images: Images,
    rule: Rule,
    vector_weight: Float[Tensor, "F2 F"],
    *,
    first: bool,
) -> Layer:
    _, b, e = mixed.value.chunk(3, dim=-1)
    frozen, share = (e, mixed.dot, b), rule.product_share
    mix = VectorMixing.of(mixed.context.operator, vector_weight, share, mixed.vectors, mixed.inverse_norm, frozen)
    bias = mixed.with_offsets(mix, messages.offset, share)
    return _layer(messages, mix, FromScalars(mix) if first else mix, bias, images)


def _layer(
    messages: _Messages, mix: AtomOperator, stay: AtomOperator, bias: Float[Tensor, "N C"], images: Images
) -> Layer:
    edges = messages.edges
    if not images.every_edge_is_a_pair:
        if isinstance(edges, VectorFilters):
            edges = VectorWeights.of(edges)
        assert isinstance(edges, ChannelWeights | VectorWeights)  # what is added up is kept
        own = images.to_own(edges.weights)
        if own is not None:
            stay = Total(stay, Compose((messages.source, OwnImages(replace(edges, weights=own)), mix)))
        edges = replace(edges, weights=images.to_pairs(edges.weights))
    return Layer(stay=stay, source=messages.source, edges=edges, target=mix, bias=bias)
