"""Closed forms of PaiNN's chain: vectors that only gate (`scalar`), or that carry relevance too (`full`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Layer
from atomlens.chain.edges import ChannelWeights, EdgeOperator, Images, OwnImages, VectorWeights
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.operators import AtomOperator, Compose, GatedSum, Residual, Total
from atomlens.chain.painn_vectors import VectorMixing, VectorSource
from atomlens.chain.rules import Affine, Rule
from atomlens.models import AtomFeatures, PaiNN, PaiNNInteraction, PaiNNMixing, mix_vectors


@dataclass(frozen=True)
class _Messages:
    """What one interaction did.

    The context's affine map (of its first F outputs where vectors only gate) and value; the weights of the edges,
    (E, F) or with vectors (E, 5, F); the state after it; what every atom gathered of offsets of scalar messages.
    """

    context: Affine
    value: Float[Tensor, "N F3"]
    weights: Float[Tensor, "E ..."]
    q: Float[Tensor, "N F"]
    mu: Float[Tensor, "N 3 F"]
    offset: Float[Tensor, "N F"]


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
    layers = []
    for t, (interaction, mixing) in enumerate(zip(model.interactions, model.mixings, strict=True)):
        messages = _interact(model, t, interaction, q, mu, edges, rule, full)
        mixed = _mix(mixing, messages.q, messages.mu, rule, full)
        if full:
            vector_weight = mixing.vector_mix.weight.detach()
            layers.append(_full_layer(messages, mixed, images, rule, mu, edges, vector_weight))
        else:
            layers.append(_scalar_layer(messages, mixed, images))
        q, mu = mixed.apply(messages.q, messages.mu)
    return layers, AtomFeatures(q, mu)


def _interact(
    model: PaiNN,
    t: int,
    interaction: PaiNNInteraction,
    q: Float[Tensor, "N F"],
    mu: Float[Tensor, "N 3 F"],
    edges: EdgeBlocks,
    rule: Rule,
    full: bool,
) -> _Messages:
    width, out = q.shape[1], interaction.context_out
    first, active = rule.dense(interaction.context_in, interaction.activation, q)
    value = out(active)
    kept = slice(None) if full else slice(width)
    context = first.then(rule.linear(out.weight[kept], out.bias[kept], active))

    new_q, new_mu, offset = q.clone(), mu.clone(), torch.zeros_like(q)
    weights = q.new_empty(edges.graph.n_edges, 5, width) if full else q.new_empty(edges.graph.n_edges, width)
    for block, kept_weights in zip(edges, weights.split(edges.block), strict=True):
        filters = model.filters(t, block)
        w_s, w_r, w_v = filters.chunk(3, dim=-1)
        s, r, v = (filters * value.index_select(0, block.source)).chunk(3, dim=-1)
        new_q.index_add_(0, block.target, s)
        dmu = r[:, None, :] * block.directions[:, :, None]
        if t > 0:  # vectors start at zero
            dmu.addcmul_(v[:, None, :], mu.index_select(0, block.source))
        new_mu.index_add_(0, block.target, dmu)
        if full:
            directed = w_r[:, None, :] * block.directions[:, :, None]
            torch.cat([w_s[:, None], directed, w_v[:, None]], dim=1, out=kept_weights)
        else:
            kept_weights.copy_(w_s)
            offset.index_add_(0, block.target, w_s * context.bias.index_select(0, block.source))
    return _Messages(
        context=context,
        value=value,
        weights=weights,
        q=new_q,
        mu=new_mu,
        offset=offset,
    )


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
    source = messages.context.operator
    return Layer(
        stay=_with_own_images(mix, source, images.to_own(messages.weights), ChannelWeights),
        source=source,
        edges=ChannelWeights(images.to_pairs(messages.weights)),
        target=mix,
        bias=mix.apply(messages.offset, None) + gated.apply(mixed.context.bias, None),
    )


def _with_own_images(
    mix: AtomOperator, source: AtomOperator, own: Tensor | None, edge_type: type[ChannelWeights] | type[VectorWeights]
) -> AtomOperator:
    if own is None:
        return mix
    operator: EdgeOperator = edge_type(own)
    return Total(mix, Compose((source, OwnImages(operator), mix)))


def _full_layer(
    messages: _Messages,
    mixed: _Mixing,
    images: Images,
    rule: Rule,
    mu_before: Tensor,
    edges: EdgeBlocks,
    vector_weight: Tensor,
) -> Layer:
    q = messages.q
    share = rule.product_share

    *_, held_v = messages.value.chunk(3, dim=-1)
    source = VectorSource(messages.context.operator, held_v, mu_before, share)
    s, r, v = messages.context.bias.chunk(3, dim=-1)
    # v μ = share (v_held μ + v μ_held) + (1 - 2 share) v_held μ_held, and v itself has an offset.
    product = share * v[:, None] * mu_before + (1 - 2 * share) * held_v[:, None] * mu_before
    sent_bias = torch.cat([s, r, product.flatten(1)], dim=-1)

    _, held_b, held_e = mixed.value.chunk(3, dim=-1)
    mix = VectorMixing(
        context=mixed.context.operator,
        vector_weight=vector_weight,
        v=mixed.v,
        w=mixed.w,
        inverse_norm=torch.where(mixed.norm == 0, 0.0, 1.0 / torch.where(mixed.norm == 0, 1.0, mixed.norm)),
        b=held_b,
        e=held_e,
        share=share,
    )
    mix_bias = mix.offset(mixed.context.bias, mixed.norm)

    operator = VectorWeights(messages.weights)
    gathered = q.new_zeros(len(q), 4 * q.shape[1])
    for block, index in zip(
        edges, torch.arange(len(messages.weights), device=q.device).split(edges.block), strict=True
    ):
        gathered.index_add_(0, block.target, operator.apply(sent_bias.index_select(0, block.source), index))
    return Layer(
        stay=_with_own_images(mix, source, images.to_own(messages.weights), VectorWeights),
        source=source,
        edges=VectorWeights(images.to_pairs(messages.weights)),
        target=mix,
        bias=mix.apply(gathered, None) + mix_bias,
    )
