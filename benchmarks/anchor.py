"""The anchor: GNN-LRP as the literature computes it, one masked forward and backward pass for each walk.

Many walks go through one pass as a batch of copies of the molecule, which is the best that this way allows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from atomlens.models import PaiNN, Potential
from atomlens.models.features import edge_features
from atomlens.structures import AtomGraph, collate


def gated(activation):
    """Quotient rule: the activation with its ratio to the input held fixed."""

    def held(y: Tensor) -> Tensor:
        return y * (activation(y) / y).detach()

    return held


class MaskedWalks:
    """Relevance of given walks of a PaiNN, vectors gating only."""

    def __init__(self, model: Potential, graph: AtomGraph, batch_size: int) -> None:
        self.model = copy.deepcopy(model)
        for module in self.model.modules():
            if hasattr(module, "activation"):
                module.activation = gated(module.activation)
        self.graph = graph
        self.batch = collate([graph] * batch_size)
        self.batch_size = batch_size

    def __call__(self, walks: Sequence[Sequence[int]]) -> Tensor:
        """Relevance (W,) of the walks."""
        found = []
        for first in range(0, len(walks), self.batch_size):
            part = torch.tensor(walks[first : first + self.batch_size], device=self.graph.numbers.device)
            batch = self.batch if len(part) == self.batch_size else collate([self.graph] * len(part))
            found.append(self._pass(part, batch))
        return torch.cat(found)

    def _pass(self, walks: Tensor, batch: AtomGraph) -> Tensor:
        net = self.model.representation
        assert isinstance(net, PaiNN)
        nodes = walks + self.graph.n_atoms * torch.arange(len(walks), device=walks.device)[:, None]
        edges = edge_features(batch, net.basis, net.cutoff)
        x0 = net.embedding(batch.numbers).detach().requires_grad_()
        q, mu = self._mask(x0, nodes[:, 0]), x0.new_zeros(len(x0), 3, x0.shape[1])
        for t, (interaction, mixing) in enumerate(zip(net.interactions, net.mixings, strict=True)):
            q, mu = interaction(q, mu, net.filters(t, edges), edges)
            q, mu = mixing(q, mu.detach())
            q = self._mask(q, nodes[:, t + 1])
        y = self.model.readout.network(q).sum() * self.model.scale
        (gradient,) = torch.autograd.grad(y, x0)
        return (gradient * x0.detach()).sum(1)[nodes[:, 0]]

    @staticmethod
    def _mask(x: Tensor, kept: Tensor) -> Tensor:
        held = x.detach().clone()
        return held.index_put((kept,), x[kept])
