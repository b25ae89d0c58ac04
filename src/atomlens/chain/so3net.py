"""Chain of SO3net's scalars, for the published rule: components of l > 0 are frozen between layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Layer
from atomlens.chain.edges import EdgeOperator, Edges, Images, OwnImages
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.operators import AtomOperator, Atoms, Compose, Identity, Residual, rows_of
from atomlens.models import AtomFeatures, SO3net, SO3netLayer, degrees


@dataclass(frozen=True)
class HarmonicWeights(EdgeOperator):
    """Scalars (F) to all components (S F): weights :math:`w_{l(s)} Y_s` of every edge, (E, S, F)."""

    weights: Float[Tensor, "E S F"]

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Spread scalars over the components."""
        return (rows_of(self.weights, edges, m) * m[..., None, :]).flatten(-2)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Return the transposed map."""
        w = rows_of(self.weights, edges, u)
        return (w * u.unflatten(-1, w.shape[-2:])).sum(dim=-2)

    def norms(self) -> Float[Tensor, " E"]:
        """Largest norm of a channel's weights."""
        return torch.linalg.vector_norm(self.weights, dim=1).amax(dim=1)


@dataclass(frozen=True)
class ScalarUpdate(AtomOperator):
    r"""Tangent of `SO3netLayer.update` from what comes together (S F) to the change of scalars (F).

    With d, v = V d, :math:`c_s = C_{s s 0}`, the mixed scalars g, gates σ = σ(h) and their slopes σ',

    .. math::
        \delta g = U \sum_s \big( [s = 0]\,\delta d_0 + c_s\,(v_s \odot \delta d_s + d_s \odot V \delta d_s) \big),
        \qquad \delta x = W \big( \sigma \odot \delta g + g \odot \sigma' \odot G\,\delta g \big)
    """

    layer: SO3netLayer
    coupled: Float[Tensor, " S"]
    d: Float[Tensor, "N S F"]
    v: Float[Tensor, "N S F"]
    gates: Float[Tensor, "N F"]
    slopes: Float[Tensor, "N F"]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Change of the scalars."""
        d, v = rows_of(self.d, atoms, x), rows_of(self.v, atoms, x)
        dd = x.unflatten(-1, d.shape[-2:])
        mixed = dd @ self.layer.product_mix.weight.T
        both = (self.coupled[:, None] * (v * dd + d * mixed)).sum(dim=-2)
        g = (dd[..., 0, :] + both) @ self.layer.mix_before.weight.T
        gated = rows_of(self.gates, atoms, g) * g + rows_of(self.slopes, atoms, g) * (g @ self._gate().T)
        return gated @ self.layer.mix_after.weight.T

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        u = u @ self.layer.mix_after.weight
        g = rows_of(self.gates, atoms, u) * u + (rows_of(self.slopes, atoms, u) * u) @ self._gate()
        g = (g @ self.layer.mix_before.weight)[..., None, :]
        d, v = rows_of(self.d, atoms, u), rows_of(self.v, atoms, u)
        found = self.coupled[:, None] * (v * g + (d * g) @ self.layer.product_mix.weight)
        return torch.cat([found[..., :1, :] + g, found[..., 1:, :]], dim=-2).flatten(-2)

    def _gate(self) -> Float[Tensor, "F F"]:
        return self.layer.gate.weight[: self.gates.shape[1]]


def so3net_layers(model: SO3net, edges: EdgeBlocks, images: Images) -> tuple[list[Layer], AtomFeatures]:
    """Layers of the chain of scalars, all functions and products by their tangents, and the model's own features."""
    algebra, l_max = model.algebra, model.config.l_max
    coupled = algebra.coupling[:, :, 0].diagonal().to(edges.graph.positions.dtype)
    component = degrees(l_max).to(coupled.device)
    harmonics = [algebra.harmonics(block.directions) for block in edges]
    x = model.embedding(edges.numbers)[:, None]
    layers = []
    for layer in model.layers:
        n_features = x.shape[2]
        d = x.new_zeros(len(x), len(component), n_features)
        carried, weights = torch.zeros_like(d), []
        for block, y in zip(edges, harmonics, strict=True):
            w = layer.filters(block)[:, component] * y[:, :, None]
            d += layer.convolve(x, algebra.rotors(y), block)
            carried.index_add_(0, block.target, w * x.index_select(0, block.source)[:, :1])
            weights.append(w)
        w = torch.cat(weights)
        dx = layer.update(d, algebra)
        operator = _tangent(layer, d, coupled)
        stay: AtomOperator = Identity()
        own = images.to_own(w)
        if own is not None:
            stay = Residual(Compose((OwnImages(HarmonicWeights(own)), operator)))
        bias = dx[:, 0] - operator.apply(carried.flatten(1), None)
        layers.append(Layer(stay, Identity(), HarmonicWeights(images.to_pairs(w)), operator, bias))
        known = x.shape[1]
        x = torch.cat([x + dx[:, :known], dx[:, known:]], dim=1)
    return layers, AtomFeatures(x[:, 0], x[:, 1:4].roll(1, 1) if l_max else None)


def _tangent(layer: SO3netLayer, d: Float[Tensor, "N S F"], coupled: Float[Tensor, " S"]) -> ScalarUpdate:
    v = d @ layer.product_mix.weight.T
    g = (d[:, 0] + (coupled[:, None] * d * v).sum(dim=1)) @ layer.mix_before.weight.T
    gates = torch.sigmoid(layer.gate(g)[:, : g.shape[1]])
    return ScalarUpdate(layer, coupled, d, v, gates, g * gates * (1 - gates))
