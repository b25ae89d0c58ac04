"""Weights of edges that are made when they are asked for: in a large system they would fill the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.edges import EdgeOperator, Edges
from atomlens.chain.operators import AtomOperator, Atoms
from atomlens.models import EdgeFeatures

_BLOCK = 1024


@dataclass(frozen=True)
class OnDemand(EdgeOperator):
    """Edge maps that are made of the features of the edges at hand, which take a tenth of their memory or less.

    Attributes
    ----------
    features
        Features of all edges.
    make
        From the features of some edges to their map.
    """

    features: EdgeFeatures
    make: Callable[[EdgeFeatures], EdgeOperator]

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Carry messages from source to target."""
        return self._of(edges).apply(m, None)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Return the transposed map."""
        return self._of(edges).pull(u, None)

    def arrive(self, m: Tensor, edges: Edges, target: AtomOperator, atoms: Atoms) -> Tensor:
        """What the target makes of single messages."""
        return self._of(edges).arrive(m, None, target, atoms)

    def norms(self) -> Float[Tensor, " E"]:
        """Bound of the factor of every edge."""
        blocks = torch.arange(len(self.features.target), device=self.features.target.device).split(_BLOCK)
        return torch.cat([self._of(block).norms() for block in blocks])

    @torch.no_grad()
    def _of(self, edges: Edges) -> EdgeOperator:
        return self.make(self.features if edges is None else self.features.of(edges))
