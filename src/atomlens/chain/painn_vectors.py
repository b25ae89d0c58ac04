r"""Per-atom maps of PaiNN when vectors carry relevance; states are [q, μ_x, μ_y, μ_z], 4F channels.

A product a·b of two signals is share (a_held b + a b_held); a norm |V| is (V_held/|V|)·V.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.operators import AtomOperator, Atoms, rows_of


@dataclass(frozen=True)
class VectorSource(AtomOperator):
    """State (4F) to messages [s, R, P_x, P_y, P_z] (5F), with P_k = share (c_v,held μ_k + c_v μ_k,held)."""

    context: AtomOperator
    c_v: Float[Tensor, "N F"]
    mu: Float[Tensor, "N 3 F"]
    share: float

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Messages that an atom sends."""
        state = x.unflatten(-1, (4, -1))
        s, r, v = self.context.apply(state[..., 0, :].contiguous(), atoms).chunk(3, dim=-1)
        c_v = rows_of(self.c_v, atoms, x)[..., None, :]
        p = self.share * (c_v * state[..., 1:, :] + v[..., None, :] * rows_of(self.mu, atoms, x))
        return torch.cat([s, r, p.flatten(-2)], dim=-1)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        message = u.unflatten(-1, (5, -1))
        p = self.share * message[..., 2:, :]
        v = (p * rows_of(self.mu, atoms, u)).sum(dim=-2)
        q = self.context.pull(torch.cat([message[..., 0, :], message[..., 1, :], v], dim=-1), atoms)
        mu = p * rows_of(self.c_v, atoms, u)[..., None, :]
        return torch.cat([q, mu.flatten(-2)], dim=-1)


@dataclass(frozen=True)
class VectorMixing(AtomOperator):
    """PaiNN's mixing as a map of [q, μ] (4F) to itself; notation of `atomlens.models.painn.PaiNNMixing`."""

    context: AtomOperator
    vector_weight: Float[Tensor, "F2 F"]
    v: Float[Tensor, "N 3 F"]
    w: Float[Tensor, "N 3 F"]
    inverse_norm: Float[Tensor, "N F"]
    b: Float[Tensor, "N F"]
    e: Float[Tensor, "N F"]
    share: float

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Mix scalars and vectors."""
        state = x.unflatten(-1, (4, -1))
        q, mu = state[..., 0, :], state[..., 1:, :]
        held_v, held_w = rows_of(self.v, atoms, x), rows_of(self.w, atoms, x)
        v, w = (mu @ self.vector_weight.T).chunk(2, dim=-1)
        n = (held_v * v).sum(dim=-2) * rows_of(self.inverse_norm, atoms, x)
        a, b, e = self.context.apply(torch.cat([q, n], dim=-1), atoms).chunk(3, dim=-1)
        dot = self.share * (held_v * w + held_w * v).sum(dim=-2)
        held_dot = (held_v * held_w).sum(dim=-2)
        q = q + a + self.share * (rows_of(self.e, atoms, x) * dot + e * held_dot)
        mu = mu + self.share * (b[..., None, :] * held_w + rows_of(self.b, atoms, x)[..., None, :] * w)
        return torch.cat([q, mu.flatten(-2)], dim=-1)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        state = u.unflatten(-1, (4, -1))
        uq, umu = state[..., 0, :], state[..., 1:, :]
        held_v, held_w = rows_of(self.v, atoms, u), rows_of(self.w, atoms, u)
        held_dot = (held_v * held_w).sum(dim=-2)
        ub = self.share * (umu * held_w).sum(dim=-2)
        ue = self.share * uq * held_dot
        context = self.context.pull(torch.cat([uq, ub, ue], dim=-1), atoms)
        width = uq.shape[-1]
        un = context[..., width:] * rows_of(self.inverse_norm, atoms, u)
        dot = (self.share**2 * uq * rows_of(self.e, atoms, u))[..., None, :]
        uv = un[..., None, :] * held_v + dot * held_w
        uw = dot * held_v + self.share * umu * rows_of(self.b, atoms, u)[..., None, :]
        mu = umu + torch.cat([uv, uw], dim=-1) @ self.vector_weight
        return torch.cat([uq + context[..., :width], mu.flatten(-2)], dim=-1)

    def offset(self, context_bias: Float[Tensor, "N F3"], norm: Float[Tensor, "N F"]) -> Float[Tensor, "N F4"]:
        """What the mixing adds besides the map: biases of the context, remainders of norms and products."""
        rest = norm - (self.v * self.v).sum(dim=1) * self.inverse_norm
        held = self.context.apply(torch.cat([torch.zeros_like(rest), rest], dim=-1), None) + context_bias
        a, b, e = held.chunk(3, dim=-1)
        dot = (self.v * self.w).sum(dim=1)
        share, left = self.share, 1 - 2 * self.share
        # dot_signal = share (2 dot) + left dot; e dot = share (e_held dot + e dot_held) + left e_held dot_held
        q = a + share * (e * dot + self.e * left * dot) + left * self.e * dot
        mu = share * b[:, None] * self.w + left * self.b[:, None] * self.w
        return torch.cat([q, mu.flatten(1)], dim=-1)
