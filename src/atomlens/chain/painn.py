"""Closed forms of PaiNN's chain: vectors that only gate (`scalar`), or that carry relevance too (`full`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Layer
from atomlens.chain.edges import ChannelWeights, EdgeOperator, Images, OwnImages, VectorWeights
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.operators import AtomOperator, Compose, GatedSum, Residual, Shared, SignedLinear, Total
from atomlens.chain.painn_vectors import VectorMixing, VectorSource
from atomlens.chain.rules import Affine, Rule, columns
from atomlens.models import AtomFeatures, PaiNN
from atomlens.models.features import mix_vectors
from atomlens.models.painn import PaiNNInteraction, PaiNNMixing


@dataclass(frozen=True)
class _Messages:
    """What one interaction did: the context's affine map (N, F) to (N, 3F), its value, and what was gathered."""

    context: Affine
    value: Float[Tensor, "N F3"]
    scalar_weights: Float[Tensor, "E F"]
    vector_weights: Float[Tensor, "E 5 F"] | None
    q: Float[Tensor, "N F"]
    mu: Float[Tensor, "N 3 F"]


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
        mixed = _mix(mixing, messages.q, messages.mu, rule, with_norm=full)
        if full:
            vector_weight = mixing.vector_mix.weight.detach()
            layers.append(_full_layer(messages, mixed, images, rule, mu, edges, vector_weight))
        else:
            layers.append(_scalar_layer(messages, mixed, images, edges))
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
    keep_vectors: bool,
) -> _Messages:
    first = rule.linear(interaction.context_in.weight, interaction.context_in.bias, q)
    hidden = interaction.context_in(q)
    gate = rule.activation(interaction.activation, hidden)
    active = interaction.activation(hidden)
    second = rule.linear(interaction.context_out.weight, interaction.context_out.bias, active)
    value = interaction.context_out(active)

    new_q, new_mu = q.clone(), mu.clone()
    scalar, vector = [], []
    for block in edges:
        w_s, w_r, w_v = model.filters(t, block).chunk(3, dim=-1)
        s, r, v = value.index_select(0, block.source).chunk(3, dim=-1)
        new_q.index_add_(0, block.target, w_s * s)
        dmu = (w_r * r)[:, None, :] * block.directions[:, :, None]
        dmu += (w_v * v)[:, None, :] * mu.index_select(0, block.source)
        new_mu.index_add_(0, block.target, dmu)
        scalar.append(w_s.clone())
        if keep_vectors:
            directed = w_r[:, None, :] * block.directions[:, :, None]
            vector.append(torch.cat([w_s[:, None], directed, w_v[:, None]], dim=1))
    return _Messages(
        context=first.then(gate).then(second),
        value=value,
        scalar_weights=torch.cat(scalar),
        vector_weights=torch.cat(vector) if keep_vectors else None,
        q=new_q,
        mu=new_mu,
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


def _mix(mixing: PaiNNMixing, q: Tensor, mu: Tensor, rule: Rule, with_norm: bool) -> _Mixing:
    """Mix; the context's affine map is of q alone, or of [q, n] where norms carry relevance."""
    v, w = mix_vectors(mixing.vector_mix, mu).chunk(2, dim=-1)
    norm = torch.sqrt((v * v).sum(dim=1) + mixing.epsilon)
    both = torch.cat([q, norm], dim=-1)
    first = rule.linear(mixing.context_in.weight, mixing.context_in.bias, both)
    if not with_norm:
        held = torch.cat([torch.zeros_like(q), norm], dim=-1)
        first = columns(first, 0, q.shape[1], held)
    hidden = mixing.context_in(both)
    gate = rule.activation(mixing.activation, hidden)
    active = mixing.activation(hidden)
    second = rule.linear(mixing.context_out.weight, mixing.context_out.bias, active)
    context = first.then(gate).then(second)
    return _Mixing(context, mixing.context_out(active), v, w, norm, dot=(v * w).sum(dim=1))


def _scalar_layer(messages: _Messages, mixed: _Mixing, images: Images, edges: EdgeBlocks) -> Layer:
    q, gate, context = messages.q, mixed.dot, mixed.context
    width = q.shape[1]
    a, _, e = context.bias.chunk(3, dim=-1)
    kept = torch.cat([torch.arange(width), torch.arange(2 * width, 3 * width)]).to(q.device)
    branch = Compose((*_rows(context.operator, kept), GatedSum(gate)))
    mix = Residual(branch)
    mix_bias = a + e * gate

    atoms = torch.arange(len(q), device=q.device)
    source = Compose(_rows(messages.context.operator, torch.arange(width, device=q.device)))
    sent_bias = messages.context.bias[:, :width]
    gathered = torch.zeros_like(q)
    for block, part in zip(edges, messages.scalar_weights.split(edges.block), strict=True):
        gathered.index_add_(0, block.target, part * sent_bias.index_select(0, block.source))
    return Layer(
        stay=_with_own_images(mix, source, images.to_own(messages.scalar_weights), ChannelWeights),
        source=source,
        edges=ChannelWeights(images.to_pairs(messages.scalar_weights)),
        target=mix,
        bias=mix.apply(gathered, atoms) + mix_bias,
    )


def _rows(operator: AtomOperator, rows: Tensor) -> tuple[AtomOperator, ...]:
    """Factors of a network's map, its last layer restricted to some outputs."""
    if not isinstance(operator, Compose):
        raise TypeError(f"expected the map of a network, received {type(operator).__name__}")
    *first, last = operator.factors
    if isinstance(last, Shared):
        return (*first, Shared(last.weight[rows].contiguous()))
    if isinstance(last, SignedLinear):
        part = SignedLinear(
            last.plus[rows], last.minus[rows], last.gains[:, rows], last.output_positive[:, rows], last.input_positive
        )
        return (*first, part)
    raise TypeError(f"expected a layer of weights at the end, received {type(last).__name__}")


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
    if messages.vector_weights is None:
        raise TypeError("the full product rule needs the weights of vector messages")
    q = messages.q
    atoms = torch.arange(len(q), device=q.device)
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

    operator = VectorWeights(messages.vector_weights)
    gathered = q.new_zeros(len(q), 4 * q.shape[1])
    for block, index in zip(edges, torch.arange(len(messages.vector_weights)).split(edges.block), strict=True):
        gathered.index_add_(0, block.target, operator.apply(sent_bias.index_select(0, block.source), index))
    return Layer(
        stay=_with_own_images(mix, source, images.to_own(messages.vector_weights), VectorWeights),
        source=source,
        edges=VectorWeights(images.to_pairs(messages.vector_weights)),
        target=mix,
        bias=mix.apply(gathered, atoms) + mix_bias,
    )
