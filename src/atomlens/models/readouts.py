"""From atom features to the predicted quantity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.activations import activation_by_name
from atomlens.models.config import ReadoutConfig
from atomlens.models.features import AtomFeatures, mix_vectors, sum_edges
from atomlens.structures import AtomGraph


class AtomNetwork(nn.Module):
    """Fully connected network on the scalars of every atom, linear at the end."""

    def __init__(self, config: ReadoutConfig) -> None:
        super().__init__()
        self.activation = activation_by_name(config.activation)
        layers = [nn.Linear(a, b) for a, b in pairwise(config.widths)]
        self.layers: Sequence[nn.Linear] = cast(Any, nn.ModuleList(layers))

    def forward(self, x: Float[Tensor, "N F"]) -> Float[Tensor, "N O"]:
        """Apply the network atom by atom."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class Atomwise(nn.Module):
    r"""Sum, mean or weighted mean over the atoms of a network's output.

    Weights are :math:`a_i = e^{w_i} / \sum_j e^{w_j}` with w from a network of its own: a soft choice of the
    atoms that carry an orbital.
    """

    def __init__(self, config: ReadoutConfig) -> None:
        super().__init__()
        self.config = config
        self.network = AtomNetwork(config)
        self.attention = AtomNetwork(config) if config.aggregation == "softmax" else None

    def weights(self, features: AtomFeatures, graph: AtomGraph) -> Float[Tensor, " N"]:
        """Weight of every atom in its structure's sum."""
        if self.attention is None:
            ones = torch.ones_like(features.scalars[:, 0])
            return ones / graph.sizes[graph.batch] if self.config.aggregation == "avg" else ones
        logits = self.attention(features.scalars)[:, 0]
        # The largest logit of each structure is taken off first, so that no exponential overflows.
        largest = logits.new_zeros(graph.n_graphs).scatter_reduce(
            0, graph.batch, logits.detach(), "amax", include_self=False
        )
        e = torch.exp(logits - largest[graph.batch])
        return e / sum_edges(e, graph.batch, graph.n_graphs)[graph.batch]

    def parts(self, features: AtomFeatures, graph: AtomGraph) -> Float[Tensor, " N"]:
        """What every atom adds to the number of its structure."""
        return self.weights(features, graph) * self.network(features.scalars)[:, 0]

    def forward(self, features: AtomFeatures, graph: AtomGraph) -> Float[Tensor, " G"]:
        """One number a structure."""
        y = self.network(features.scalars)[:, 0]
        if self.attention is not None:
            return sum_edges(self.weights(features, graph) * y, graph.batch, graph.n_graphs)
        y = sum_edges(y, graph.batch, graph.n_graphs)
        return y / graph.sizes if self.config.aggregation == "avg" else y


class GatedEquivariant(nn.Module):
    """Gated equivariant block of PaiNN's tensorial readouts (arXiv:2102.03150, figure 3)."""

    def __init__(self, n_in: int, n_out: int, n_hidden: int, activation: str, gate_scalars: bool) -> None:
        super().__init__()
        self.n_out = n_out
        self.activation = activation_by_name(activation)
        self.gate_scalars = gate_scalars
        self.vector_mix = nn.Linear(n_in, 2 * n_out, bias=False)
        self.context_in = nn.Linear(n_in + n_out, n_hidden)
        self.context_out = nn.Linear(n_hidden, 2 * n_out)

    def forward(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars (N, n_in) and vectors (N, 3, n_in) to (N, n_out) and (N, 3, n_out)."""
        v, w = mix_vectors(self.vector_mix, vectors).chunk(2, dim=-1)
        context = torch.cat([scalars, torch.linalg.vector_norm(v, dim=1)], dim=-1)
        s, gate = self.context_out(self.activation(self.context_in(context))).chunk(2, dim=-1)
        return self.activation(s) if self.gate_scalars else s, gate[:, None, :] * w


class EquivariantNetwork(nn.Module):
    """Gated equivariant blocks, one after the other."""

    def __init__(self, config: ReadoutConfig) -> None:
        super().__init__()
        widths = config.widths
        blocks = [
            GatedEquivariant(a, b, a, config.activation, gate_scalars=k < len(widths) - 2)
            for k, (a, b) in enumerate(pairwise(widths))
        ]
        self.blocks: Sequence[GatedEquivariant] = cast(Any, nn.ModuleList(blocks))

    def forward(self, features: AtomFeatures) -> tuple[Float[Tensor, "N O"], Float[Tensor, "N 3 O"]]:
        """Scalars and vectors of every atom."""
        if features.vectors is None:
            raise ValueError("this readout needs vector features; SchNet has none, use PaiNN")
        s, v = features.scalars, features.vectors
        for block in self.blocks:
            s, v = block(s, v)
        return s, v


class Dipole(nn.Module):
    r"""Dipole moment :math:`\mu = \sum_i q_i r_i + \mu_i` from latent charges and, if asked, atomic dipoles."""

    def __init__(self, config: ReadoutConfig) -> None:
        super().__init__()
        self.config = config
        self.network = EquivariantNetwork(config) if config.vectors else AtomNetwork(config)

    def forward(self, features: AtomFeatures, graph: AtomGraph) -> Tensor:
        """Vectors (G, 3), or their norms (G,) with ``magnitude``; unit: that of charge times Å."""
        if self.config.vectors:
            charges, dipoles = self.network(features)
            dipoles = dipoles[..., 0]
        else:
            charges, dipoles = self.network(features.scalars), 0.0
        if self.config.correct_charges:
            total = sum_edges(charges, graph.batch, graph.n_graphs)
            charges = charges - (total / graph.sizes[:, None])[graph.batch]
        y = sum_edges(graph.positions * charges + dipoles, graph.batch, graph.n_graphs)
        return torch.linalg.vector_norm(y, dim=1) if self.config.magnitude else y


class Polarizability(nn.Module):
    r"""Polarizability tensor :math:`\sum_i \alpha_i 1 + \nu_i \otimes r_i + r_i \otimes \nu_i`."""

    def __init__(self, config: ReadoutConfig) -> None:
        super().__init__()
        self.config = config
        self.network = EquivariantNetwork(config)

    def forward(self, features: AtomFeatures, graph: AtomGraph) -> Float[Tensor, "G 3 3"]:
        """One tensor a structure."""
        s, v = self.network(features)
        isotropic = s[:, :1, None] * torch.eye(3, dtype=s.dtype, device=s.device)
        outer = v[..., :1] * graph.positions[:, None, :]
        return sum_edges(isotropic + outer + outer.transpose(1, 2), graph.batch, graph.n_graphs)


def make_readout(config: ReadoutConfig) -> nn.Module:
    """Build the readout that a configuration names."""
    return {"atomwise": Atomwise, "dipole": Dipole, "polarizability": Polarizability}[config.kind](config)
