r"""Edge part of PaiNN where vectors carry relevance: messages [s, R, P_x, P_y, P_z] (5F) to [q, μ_x, μ_y, μ_z] (4F).

.. math:: q = w_s \odot s, \qquad \mu_k = \hat r_k\,(w_R \odot R) + w_v \odot P_k

Before the first layer there are no vectors: messages are [s, R] (2F), and the part v is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.edges import EdgeOperator, Edges
from atomlens.chain.operators import AtomOperator, Atoms, rows_of
from atomlens.chain.painn_vectors import VectorMixing


@dataclass(frozen=True)
class VectorFilters(EdgeOperator):
    """The filters of single edges and their directions.

    Attributes
    ----------
    filters
        w_s, w_R and, but for the first layer, w_v, shape (E, 2 or 3, F).
    directions
        Unit vectors from target to source, shape (E, 3).
    """

    filters: Float[Tensor, "E parts F"]
    directions: Float[Tensor, "E 3"]

    @property
    def _n_parts(self) -> int:
        """Parts of a message: s and R, and the three of P where there are vectors."""
        return 2 if self.filters.shape[1] == 2 else 5

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Carry scalar and vector messages along the edges."""
        w, directions, message = self._of(m, edges)
        state = m.new_empty(*m.shape[:-1], 4, message.shape[-1])
        torch.mul(w[..., :1, :], message[..., :1, :], out=state[..., :1, :])
        radial = w[..., 1:2, :] * message[..., 1:2, :]
        mu = torch.mul(directions, radial, out=state[..., 1:, :])
        if self._n_parts > 2:
            mu.addcmul_(w[..., 2:, :], message[..., 2:, :])
        return state.flatten(-2)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Carry state derivatives back along the edges."""
        w, directions = rows_of(self.filters, edges, u), rows_of(self.directions, edges, u)[..., None]
        state = u.unflatten(-1, (4, -1))
        message = u.new_empty(*u.shape[:-1], self._n_parts, state.shape[-1])
        torch.mul(w[..., 0, :], state[..., 0, :], out=message[..., 0, :])
        radial = torch.mul(directions[..., 0, :], state[..., 1, :], out=message[..., 1, :])
        radial.addcmul_(directions[..., 1, :], state[..., 2, :]).addcmul_(directions[..., 2, :], state[..., 3, :])
        radial.mul_(w[..., 1, :])
        if self._n_parts > 2:
            torch.mul(w[..., 2:, :], state[..., 1:, :], out=message[..., 2:, :])
        return message.flatten(-2)

    def arrive(self, m: Tensor, edges: Edges, target: AtomOperator, atoms: Atoms) -> Tensor:
        """What `target` makes of single messages; a vector along the edge has one component to mix, not three."""
        if self._n_parts > 2 or m.dim() > 2 or not isinstance(target, VectorMixing):
            return super().arrive(m, edges, target, atoms)
        w, directions, message = self._of(m, edges)
        scalar, radial = (w * message).unbind(-2)
        return target.apply_along(directions, scalar, radial, atoms)

    def norms(self) -> Float[Tensor, " E"]:
        """Largest spectral norm of a channel: that of w_s alone, or of (R, P) to r̂ w_R R + w_v P."""
        return _norms(self.filters)

    def _of(self, m: Tensor, edges: Edges) -> tuple[Tensor, Tensor, Tensor]:
        w, directions = rows_of(self.filters, edges, m), rows_of(self.directions, edges, m)[..., None]
        return w, directions, m.unflatten(-1, (self._n_parts, -1))


@dataclass(frozen=True)
class VectorWeights(EdgeOperator):
    r"""Weights of pairs whose periodic images were added up: the direction is another for every channel.

    `weights` (E, 4 or 5, F) holds w_s, w_R r̂_x, w_R r̂_y, w_R r̂_z and, but for the first layer, w_v.
    """

    weights: Float[Tensor, "E parts F"]

    @property
    def _n_parts(self) -> int:
        """Parts of a message: s and R, and the three of P where there are vectors."""
        return 2 if self.weights.shape[1] == 4 else 5

    @classmethod
    def of(cls, edges: VectorFilters) -> VectorWeights:
        """The same map, ready to be added up over images."""
        w = edges.filters
        radial = w[:, 1:2] * edges.directions[:, :, None]
        return cls(torch.cat([w[:, :1], radial, w[:, 2:]], dim=1))

    def apply(self, m: Tensor, edges: Edges) -> Tensor:
        """Carry scalar and vector messages along the edges."""
        w = rows_of(self.weights, edges, m)
        message = m.unflatten(-1, (self._n_parts, -1))
        state = m.new_empty(*m.shape[:-1], 4, message.shape[-1])
        torch.mul(w[..., :1, :], message[..., :1, :], out=state[..., :1, :])
        mu = torch.mul(w[..., 1:4, :], message[..., 1:2, :], out=state[..., 1:, :])
        if self._n_parts > 2:
            mu.addcmul_(w[..., 4:, :], message[..., 2:, :])
        return state.flatten(-2)

    def pull(self, u: Tensor, edges: Edges) -> Tensor:
        """Carry state derivatives back along the edges."""
        w = rows_of(self.weights, edges, u)
        state = u.unflatten(-1, (4, -1))
        message = u.new_empty(*u.shape[:-1], self._n_parts, state.shape[-1])
        torch.mul(w[..., :1, :], state[..., :1, :], out=message[..., :1, :])
        radial = torch.mul(w[..., 1, :], state[..., 1, :], out=message[..., 1, :])
        radial.addcmul_(w[..., 2, :], state[..., 2, :]).addcmul_(w[..., 3, :], state[..., 3, :])
        if self._n_parts > 2:
            torch.mul(w[..., 4:, :], state[..., 1:, :], out=message[..., 2:, :])
        return message.flatten(-2)

    def norms(self) -> Float[Tensor, " E"]:
        """Largest spectral norm of a channel: that of w_s alone, or of (R, P) to w_R r̂ R + w_v P."""
        return _norms(self.weights)


def _norms(weights: Float[Tensor, "E parts F"]) -> Float[Tensor, " E"]:
    """Largest spectral norm of a channel: that of w_s alone, or of (R, P) to the vector that they make."""
    w = weights.square()
    return torch.maximum(w[:, 0], w[:, 1:].sum(dim=1)).amax(dim=1).sqrt()
