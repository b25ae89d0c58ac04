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
    """State (4F) to messages [s, R, P_x, P_y, P_z] (5F), with P_k = share (c_v,held μ_k + c_v μ_k,held).

    `held` has what is frozen in one array, which takes one gather: share c_v and the three share μ_k.
    """

    context: AtomOperator
    held: Float[Tensor, "N 4 F"]

    @classmethod
    def of(
        cls, context: AtomOperator, c_v: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"], share: float
    ) -> VectorSource:
        """The map at frozen factors c_v and vectors."""
        return cls(context, share * torch.cat([c_v[:, None], mu], dim=1))

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Messages that an atom sends."""
        state, held = x.unflatten(-1, (4, -1)), rows_of(self.held, atoms, x)
        context = self.context.apply(state[..., 0, :], atoms).unflatten(-1, (3, -1))
        message = x.new_empty(*x.shape[:-1], 5, state.shape[-1])
        message[..., :2, :] = context[..., :2, :]
        p = torch.mul(held[..., :1, :], state[..., 1:, :], out=message[..., 2:, :])
        p.addcmul_(held[..., 1:, :], context[..., 2:, :])
        return message.flatten(-2)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        message, held = u.unflatten(-1, (5, -1)), rows_of(self.held, atoms, u)
        p = message[..., 2:, :]
        v = (p * held[..., 1:, :]).sum(dim=-2, keepdim=True)
        state = u.new_empty(*u.shape[:-1], 4, message.shape[-1])
        state[..., 0, :] = self.context.pull(torch.cat([message[..., :2, :], v], dim=-2).flatten(-2), atoms)
        torch.mul(p, held[..., :1, :], out=state[..., 1:, :])
        return state.flatten(-2)


@dataclass(frozen=True)
class VectorMixing(AtomOperator):
    """PaiNN's mixing as a map of [q, μ] (4F) to itself; notation of `atomlens.models.painn.PaiNNMixing`.

    `held` has what is frozen in one array, which takes one gather: V and W (3 each), 1/n, share² e, share <V, W> and
    share b.
    """

    context: AtomOperator
    vector_weight: Float[Tensor, "F2 F"]
    share: float
    held: Float[Tensor, "N 10 F"]

    @classmethod
    def of(
        cls,
        context: AtomOperator,
        vector_weight: Float[Tensor, "F2 F"],
        share: float,
        vectors: tuple[Float[Tensor, "N 3 F"], Float[Tensor, "N 3 F"]],
        inverse_norm: Float[Tensor, "N F"],
        gates: tuple[Float[Tensor, "N F"], Float[Tensor, "N F"]],
    ) -> VectorMixing:
        """The map at frozen vectors (V, W) and gates (b, e)."""
        (v, w), (b, e) = vectors, gates
        scalars = torch.stack([inverse_norm, share**2 * e, share * (v * w).sum(dim=1), share * b], dim=1)
        return cls(context, vector_weight, share, torch.cat([v, w, scalars], dim=1))

    def _held(self, atoms: Atoms, like: Tensor) -> tuple[Tensor, ...]:
        return rows_of(self.held, atoms, like).split([3, 3, 1, 1, 1, 1], dim=-2)

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Mix scalars and vectors."""
        state = x.unflatten(-1, (4, -1))
        q, mu = state[..., :1, :], state[..., 1:, :]
        held_v, held_w, inverse_norm, e, dot, b = self._held(atoms, x)
        # One product of matrices for all three components: torch would take one a row for what is not contiguous.
        mixed = (mu.reshape(-1, mu.shape[-1]) @ self.vector_weight.T).view(*mu.shape[:-1], len(self.vector_weight))
        v, w = mixed.chunk(2, dim=-1)
        n = (held_v * v).sum(dim=-2, keepdim=True).mul_(inverse_norm)
        context = self.context.apply(torch.cat([q, n], dim=-2).flatten(-2), atoms).unflatten(-1, (3, -1))
        new = torch.empty_like(state)
        (
            torch.add(q, context[..., :1, :], out=new[..., :1, :])
            .addcmul_(e, (held_v * w).addcmul_(held_w, v).sum(dim=-2, keepdim=True))
            .addcmul_(dot, context[..., 2:, :])
        )
        torch.addcmul(mu, b, w, out=new[..., 1:, :]).addcmul_(context[..., 1:2, :], held_w, value=self.share)
        return new.flatten(-2)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        state = u.unflatten(-1, (4, -1))
        uq, umu = state[..., :1, :], state[..., 1:, :]
        held_v, held_w, inverse_norm, e, dot, b = self._held(atoms, u)
        ub = (umu * held_w).sum(dim=-2, keepdim=True).mul_(self.share)
        inputs = self.context.pull(torch.cat([uq, ub, uq * dot], dim=-2).flatten(-2), atoms).unflatten(-1, (2, -1))
        un, ud = inputs[..., 1:, :] * inverse_norm, uq * e
        mixed = u.new_empty(*umu.shape[:-1], 2, umu.shape[-1])
        torch.mul(un, held_v, out=mixed[..., 0, :]).addcmul_(ud, held_w)
        torch.mul(ud, held_v, out=mixed[..., 1, :]).addcmul_(b, umu)
        pulled = (mixed.view(-1, self.vector_weight.shape[0]) @ self.vector_weight).view(umu.shape)
        new = torch.empty_like(state)
        torch.add(uq, inputs[..., :1, :], out=new[..., :1, :])
        torch.add(umu, pulled, out=new[..., 1:, :])
        return new.flatten(-2)
