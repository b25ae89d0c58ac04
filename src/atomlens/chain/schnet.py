"""Closed form of SchNet's chain."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Layer
from atomlens.chain.edges import ChannelWeights, Images, OwnImages
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.operators import AtomOperator, Compose, Identity, Residual
from atomlens.chain.rules import Rule
from atomlens.models import AtomFeatures, EdgeFeatures, SchNet, SchNetLayer


def schnet_layers(model: SchNet, edges: EdgeBlocks, images: Images, rule: Rule) -> tuple[list[Layer], AtomFeatures]:
    r"""Layers of the chain, and the model's own atom features.

    A = 1, K = W_1, d = w(d_ij), B_i = W_3 diag(g_i) W_2 with the gains g_i of the rule
    (notation of `atomlens.models.schnet.SchNetLayer`).
    """
    x = model.embedding(edges.numbers)
    layers = []
    for layer in model.layers:
        weights = torch.cat([_filters(layer, block, rule) for block in edges])
        source = rule.linear(layer.source.weight, None, x)
        sent = layer.source(x)
        gathered = _gather(sent, weights, edges)
        first, active = rule.dense(layer.update_in, layer.activation, gathered)
        update = first.then(rule.linear(layer.update_out.weight, layer.update_out.bias, active))
        stay: AtomOperator = Identity()
        own = images.to_own(weights)
        if own is not None:
            stay = Residual(Compose((source.operator, OwnImages(ChannelWeights(own)), update.operator)))
        layers.append(
            Layer(stay, source.operator, ChannelWeights(images.to_pairs(weights)), update.operator, update.bias)
        )
        x = x + layer.update_out(active)
    return layers, AtomFeatures(x)


def _filters(layer: SchNetLayer, edges: EdgeFeatures, rule: Rule) -> Float[Tensor, "E M"]:
    if rule.keeps_values:
        return layer.filters(edges)
    _, hidden = rule.dense(layer.filter_in, layer.activation, edges.radial)
    return layer.filter_out(hidden) * edges.envelope[:, None]


def _gather(sent: Float[Tensor, "N M"], weights: Float[Tensor, "E M"], edges: EdgeBlocks) -> Float[Tensor, "N M"]:
    gathered = torch.zeros_like(sent)
    for block, part in zip(edges, weights.split(edges.block), strict=True):
        gathered.index_add_(0, block.target, sent.index_select(0, block.source) * part)
    return gathered
