"""Closed forms of PaiNN's chain: vectors that only gate (`scalar`), or that carry relevance too (`full`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Layer
from atomlens.chain.edges import ChannelWeights, EdgeOperator, Images, OwnImages, VectorWeights
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.on_demand import OnDemand
from atomlens.chain.operators import AtomOperator, Compose, GatedSum, Residual, Total
from atomlens.chain.painn_vectors import VectorMixing, VectorSource
from atomlens.chain.rules import Affine, Rule
from atomlens.models import AtomFeatures, EdgeFeatures, PaiNN, PaiNNMixing, mix_vectors

# Of more weights than this a layer (128 MB in float64), each is made when it is asked for.
_KEPT = 2**24


@dataclass(frozen=True)
class _Messages:
    """What one interaction did.

    The map from state to message; the weights of the edges, (E, F) or with vectors (E, 5, F), or what makes them; the
    state after it; what every atom gathered of offsets of messages, (N, F) or with vectors (N, 4F).
    """

    source: AtomOperator
    weights: Float[Tensor, "E ..."] | OnDemand
    q: Float[Tensor, "N F"]
    mu: Float[Tensor, "N 3 F"]
    offset: Float[Tensor, "N _"]


def painn_layers(
    model: PaiNN, edges: EdgeBlocks, images: Images, rule: Rule, product_rule: str
) -> tuple[list[Layer], AtomFeatures]:
    """Layers of the chain, and the model's own atom features.

    With ``product_rule="scalar"`` the state is q (F channels) and vectors are constants; with ``"full"`` it is
    [q, μ_x, μ_y, μ_z] (4F channels) and each factor of a product carries its share of the relevance.
    """
    q = model.embedding(edges.numbers)
    mu = q.new_zeros(len(q), 3, q.shape[1])
    full = product_rule == "full"
    many = edges.graph.n_edges * q.shape[1] * (5 if full else 1) > _KEPT
    edges = replace(edges, kept=(edges.kept and not many) or not images.every_edge_is_a_pair)
    layers = []
    for t, mixing in enumerate(model.mixings):
        messages = (_interact_with_vectors if full else _interact)(model, t, q, mu, edges, rule)
        mixed = _mix(mixing, messages.q, messages.mu, rule, full)
        if full:
            layers.append(_full_layer(messages, mixed, images, rule, mixing.vector_mix.weight.detach()))
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
    weights = edges.room(q, width)
    for block, kept_weights in zip(edges, edges.parts(weights), strict=True):
        filters = model.filters(t, block)
        s, r, v = (filters * value.index_select(0, block.source)).chunk(3, dim=-1)
        new_q.index_add_(0, block.target, s)
        dmu = r[:, None, :] * block.directions[:, :, None]
        if t > 0:  # vectors start at zero
            dmu.addcmul_(v[:, None, :], mu.index_select(0, block.source))
        new_mu.index_add_(0, block.target, dmu)
        kept_weights.copy_(filters[:, :width])
        offset.index_add_(0, block.target, kept_weights * context.bias.index_select(0, block.source))
    kept = weights if edges.kept else OnDemand(edges.whole, partial(_gate_weights, model, t))
    return _Messages(context.operator, kept, new_q, new_mu, offset)


def _gate_weights(model: PaiNN, t: int, edges: EdgeFeatures) -> ChannelWeights:
    """Weights of scalar messages along edges."""
    return ChannelWeights(model.filters(t, edges)[:, : model.config.n_features])


def _vector_weights(model: PaiNN, t: int, edges: EdgeFeatures, out: Float[Tensor, "E 5 F"]) -> VectorWeights:
    """Weights of messages [s, R, P] along edges, written to `out`."""
    filters = model.filters(t, edges).unflatten(1, (3, -1))
    out[:, ::4] = filters[:, ::2]
    torch.mul(filters[:, 1:2], edges.directions[:, :, None], out=out[:, 1:4])
    return VectorWeights(out)


def _made_vector_weights(model: PaiNN, t: int, edges: EdgeFeatures) -> VectorWeights:
    room = edges.radial.new_empty(len(edges.target), 5, model.config.n_features)
    return _vector_weights(model, t, edges, room)


def _interact_with_vectors(
    model: PaiNN, t: int, q: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"], edges: EdgeBlocks, rule: Rule
) -> _Messages:
    """One interaction where messages are [s, R, P], P = v μ; they and their offsets go along the edges side by side."""
    interaction, share = model.interactions[t], rule.product_share
    out = interaction.context_out
    first, active = rule.dense(interaction.context_in, interaction.activation, q)
    context = first.then(rule.linear(out.weight, out.bias, active))
    value, bias = (part.unflatten(1, (3, -1)) for part in (out(active), context.bias))
    held_v, v = value[:, 2], bias[:, 2:]
    # v μ = share (v_held μ + v μ_held) + (1 - 2 share) v_held μ_held, and v itself has an offset.
    product = value[:, 2:] * mu
    left = (1 - 2 * share) * product + share * v * mu
    sent = torch.stack([torch.cat([value[:, :2], product], 1), torch.cat([bias[:, :2], left], 1)], dim=1).flatten(2)

    gathered = q.new_zeros(len(q), 2, 4 * q.shape[1])
    weights = edges.room(q, 5, q.shape[1])
    for block, kept_weights in zip(edges, edges.parts(weights), strict=True):
        operator = _vector_weights(model, t, block, kept_weights)
        carried = operator.apply(sent.index_select(0, block.source), None)
        gathered.index_add_(0, block.target, carried)
    received = gathered[:, 0].unflatten(1, (4, -1))
    source = VectorSource.of(context.operator, held_v, mu, share)
    kept = weights if edges.kept else OnDemand(edges.whole, partial(_made_vector_weights, model, t))
    return _Messages(source, kept, q + received[:, 0], mu + received[:, 1:], gathered[:, 1])


@dataclass(frozen=True)
class _Mixing:
    """What one mixing did: its context (a, b, e) as an affine map and by value, and the vectors and norms it met."""

    context: Affine
    value: Float[Tensor, "N F3"]
    v: Float[Tensor, "N 3 F"]
    w: Float[Tensor, "N 3 F"]
    norm: Float[Tensor, "N F"]
    dot: Float[Tensor, "N F"]

    def apply(self, q: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
        """State after the mixing, as the model itself computes it."""
        a, b, e = self.value.chunk(3, dim=-1)
        return q + a + e * self.dot, mu + b[:, None] * self.w

    @cached_property
    def inverse_norm(self) -> Float[Tensor, "N F"]:
        """1 / n, zero where n is."""
        return torch.where(self.norm == 0, 0.0, 1.0 / torch.where(self.norm == 0, 1.0, self.norm))

    def offset(self, share: float) -> Float[Tensor, "N F4"]:
        """What `VectorMixing` leaves out: biases of the context, remainders of norms and products."""
        rest = self.norm - (self.v * self.v).sum(dim=1) * self.inverse_norm
        held = self.context.operator.apply(torch.cat([torch.zeros_like(rest), rest], dim=-1), None) + self.context.bias
        (a, b, e), (_, held_b, held_e) = held.chunk(3, dim=-1), self.value.chunk(3, dim=-1)
        left = 1 - 2 * share
        # dot_signal = share (2 dot) + left dot; e dot = share (e_held dot + e dot_held) + left e_held dot_held
        q = a + share * (e * self.dot + held_e * left * self.dot) + left * held_e * self.dot
        mu = (share * b + left * held_b)[:, None] * self.w
        return torch.cat([q, mu.flatten(1)], dim=-1)


def _mix(mixing: PaiNNMixing, q: Tensor, mu: Tensor, rule: Rule, full: bool) -> _Mixing:
    """Mix; the context's affine map is of [q, n] to (a, b, e), or of q to (a, e) where vectors only gate."""
    v, w = mix_vectors(mixing.vector_mix, mu).chunk(2, dim=-1)
    norm = torch.sqrt((v * v).sum(dim=1) + mixing.epsilon)
    weight, bias = mixing.context_out.weight, mixing.context_out.bias
    if full:
        first, active = rule.dense(mixing.context_in, mixing.activation, torch.cat([q, norm], dim=-1))
    else:
        first, active = rule.dense(mixing.context_in, mixing.activation, q, held=norm)
        width = q.shape[1]
        weight, bias = (torch.cat([x[:width], x[2 * width :]]) for x in (weight, bias))
    value = mixing.context_out(active)
    context = first.then(rule.linear(weight, bias, active))
    return _Mixing(context, value, v, w, norm, dot=(v * w).sum(dim=1))


def _scalar_layer(messages: _Messages, mixed: _Mixing, images: Images) -> Layer:
    gated = GatedSum(mixed.dot)
    mix = Residual(Compose((mixed.context.operator, gated)))
    bias = mix.apply(messages.offset, None) + gated.apply(mixed.context.bias, None)
    return _layer(messages, mix, bias, images, ChannelWeights)


def _full_layer(
    messages: _Messages, mixed: _Mixing, images: Images, rule: Rule, vector_weight: Float[Tensor, "F2 F"]
) -> Layer:
    _, b, e = mixed.value.chunk(3, dim=-1)
    share, vectors = rule.product_share, (mixed.v, mixed.w)
    mix = VectorMixing.of(mixed.context.operator, vector_weight, share, vectors, mixed.inverse_norm, (b, e))
    bias = mix.apply(messages.offset, None) + mixed.offset(share)
    return _layer(messages, mix, bias, images, VectorWeights)


def _layer(
    messages: _Messages,
    mix: AtomOperator,
    bias: Float[Tensor, "N C"],
    images: Images,
    edge_type: type[ChannelWeights] | type[VectorWeights],
) -> Layer:
    if isinstance(messages.weights, OnDemand):
        return Layer(stay=mix, source=messages.source, edges=messages.weights, target=mix, bias=bias)
    stay, own = mix, images.to_own(messages.weights)
    if own is not None:
        operator: EdgeOperator = edge_type(own)
        stay = Total(mix, Compose((messages.source, OwnImages(operator), mix)))
    edges = edge_type(images.to_pairs(messages.weights))
    return Layer(stay=stay, source=messages.source, edges=edges, target=mix, bias=bias)
