r"""Per-atom maps of PaiNN when vectors carry relevance; states are [q, μ_x, μ_y, μ_z], 4F channels.

A product a·b of two signals is share (a_frozen b + a b_frozen); a norm |V| is (V_frozen/|V|)·V.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.operators import AtomOperator, Atoms, rows_of


@dataclass(frozen=True)
class VectorSource(AtomOperator):
    """State (4F) to messages [s, R, P_x, P_y, P_z] (5F), with P_k = share (c_v,frozen μ_k + c_v μ_k,frozen).

    `frozen` is all of it in one array, which takes one gather: share c_v and the three share μ_k.
    """

    context: AtomOperator
    frozen: Float[Tensor, "N 4 F"]

    @classmethod
    def of(
        cls, context: AtomOperator, c_v: Float[Tensor, "N F"], mu: Float[Tensor, "N 3 F"], share: float
    ) -> VectorSource:
        """The map at frozen factors c_v and vectors."""
        return cls(context, share * torch.cat([c_v[:, None], mu], dim=1))

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Messages that an atom sends."""
        state, frozen = x.unflatten(-1, (4, -1)), rows_of(self.frozen, atoms, x)
        context = self.context.apply(state[..., 0, :], atoms).unflatten(-1, (3, -1))
        message = x.new_empty(*x.shape[:-1], 5, state.shape[-1])
        message[..., :2, :] = context[..., :2, :]
        p = torch.mul(frozen[..., :1, :], state[..., 1:, :], out=message[..., 2:, :])
        p.addcmul_(frozen[..., 1:, :], context[..., 2:, :])
        return message.flatten(-2)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        message, frozen = u.unflatten(-1, (5, -1)), rows_of(self.frozen, atoms, u)
        p = message[..., 2:, :]
        context = u.new_empty(*u.shape[:-1], 3, message.shape[-1])
        context[..., :2, :] = message[..., :2, :]
        _over_components(p, frozen[..., 1:, :], out=context[..., 2:, :])
        state = u.new_empty(*u.shape[:-1], 4, message.shape[-1])
        state[..., 0, :] = self.context.pull(context.flatten(-2), atoms)
        torch.mul(p, frozen[..., :1, :], out=state[..., 1:, :])
        return state.flatten(-2)


@dataclass(frozen=True)
class VectorMixing(AtomOperator):
    """PaiNN's mixing as a map of [q, μ] (4F) to itself; notation of `atomlens.models.painn.PaiNNMixing`.

    `frozen` is all of it in one array, which takes one gather, with the share of products in it: share V and
    share W (3 each), 1/(share n), share e, share <V, W> and share b.
    """

    context: AtomOperator
    vector_weight: Float[Tensor, "F2 F"]
    frozen: Float[Tensor, "N 10 F"]

    @classmethod
    def of(
        cls,
        context: AtomOperator,
        vector_weight: Float[Tensor, "F2 F"],
        share: float,
        vectors: Float[Tensor, "N 6 F"],
        inverse_norm: Float[Tensor, "N F"],
        products: tuple[Float[Tensor, "N F"], Float[Tensor, "N F"], Float[Tensor, "N F"]],
    ) -> VectorMixing:
        """The map at frozen vectors [V, W], and frozen e, <V, W> and b."""
        frozen = torch.cat([vectors, inverse_norm[:, None], torch.stack(products, dim=1)], dim=1).mul_(share)
        frozen[:, 6].mul_(1 / share**2)
        return cls(context, vector_weight, frozen)

    def _frozen(self, atoms: Atoms, like: Tensor) -> tuple[Tensor, ...]:
        return rows_of(self.frozen, atoms, like).split([3, 3, 1, 1, 1, 1], dim=-2)

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Mix scalars and vectors."""
        return self._mix(x, atoms)

    def with_offsets(
        self, x: Float[Tensor, "N F4"], norm: Float[Tensor, "N F"], context: Float[Tensor, "N F3"]
    ) -> Float[Tensor, "N F4"]:
        """`apply` to all atoms where offsets add to the norms that their context sees, and to the context."""
        return self._mix(x, None, norm[:, None], context.unflatten(-1, (3, -1)))

    def _mix(self, x: Tensor, atoms: Atoms, norm: Tensor | None = None, offset: Tensor | None = None) -> Tensor:
        state = x.unflatten(-1, (4, -1))
        q, mu = state[..., :1, :], state[..., 1:, :]
        frozen_v, frozen_w, inverse_norm, e, dot, b = self._frozen(atoms, x)
        # One product of matrices for all three components: torch would take one per row for what is not contiguous.
        mixed = (mu.reshape(-1, mu.shape[-1]) @ self.vector_weight.T).view(*mu.shape[:-1], len(self.vector_weight))
        v, w = mixed.chunk(2, dim=-1)
        n = _over_components(frozen_v, v).mul_(inverse_norm)
        context = self._context(q, n if norm is None else n.add_(norm), atoms)
        if offset is not None:
            context = context + offset
        new = torch.empty_like(state)
        (
            torch.add(q, context[..., :1, :], out=new[..., :1, :])
            .addcmul_(e, _over_components(frozen_v, w, frozen_w, v))
            .addcmul_(dot, context[..., 2:, :])
        )
        torch.addcmul(mu, b, w, out=new[..., 1:, :]).addcmul_(context[..., 1:2, :], frozen_w)
        return new.flatten(-2)

    def apply_along(
        self, directions: Float[Tensor, "B 3 1"], q: Float[Tensor, "B F"], g: Float[Tensor, "B F"], atoms: Atoms
    ) -> Float[Tensor, "B F4"]:
        """`apply` of scalars q and vectors that all point one way, μ_k = r̂_k g: one product of matrices for three."""
        mixed = (g @ self.vector_weight.T).unflatten(-1, (2, -1))
        frozen = rows_of(self.frozen, atoms, g)
        inverse_norm, e, dot, b = frozen[..., 6:, :].unbind(-2)
        vectors = frozen[..., :6, :].unflatten(-2, (2, 3))
        along = vectors[..., 0, :] * directions[:, :1]
        for k in (1, 2):
            along.addcmul_(vectors[..., k, :], directions[:, k : k + 1])  # V and W along the direction
        inputs = q.new_empty(len(q), 2, q.shape[-1])
        inputs[:, 0] = q
        torch.mul(along[:, 0], mixed[:, 0], out=inputs[:, 1]).mul_(inverse_norm)
        context = self.context.apply(inputs.flatten(-2), atoms).unflatten(-1, (3, -1))
        new = q.new_empty(len(q), 4, q.shape[-1])
        overlap = along.mul_(mixed.flip(-2)).sum(-2)
        torch.add(q, context[:, 0], out=new[:, 0]).addcmul_(e, overlap).addcmul_(dot, context[:, 2])
        torch.mul(directions, torch.addcmul(g, b, mixed[:, 1])[:, None], out=new[:, 1:])
        new[:, 1:].addcmul_(context[:, 1:2], frozen[:, 3:6])
        return new.flatten(-2)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        state = u.unflatten(-1, (4, -1))
        uq, umu = state[..., :1, :], state[..., 1:, :]
        frozen_v, frozen_w, inverse_norm, e, dot, b = self._frozen(atoms, u)
        context = u.new_empty(*u.shape[:-1], 3, state.shape[-1])
        context[..., :1, :] = uq
        _over_components(umu, frozen_w, out=context[..., 1:2, :])
        torch.mul(uq, dot, out=context[..., 2:, :])
        inputs = self.context.pull(context.flatten(-2), atoms).unflatten(-1, (2, -1))
        un, ud = inputs[..., 1:, :] * inverse_norm, uq * e
        mixed = u.new_empty(*umu.shape[:-1], 2, umu.shape[-1])
        torch.mul(un, frozen_v, out=mixed[..., 0, :]).addcmul_(ud, frozen_w)
        torch.mul(ud, frozen_v, out=mixed[..., 1, :]).addcmul_(b, umu)
        pulled = (mixed.view(-1, self.vector_weight.shape[0]) @ self.vector_weight).view(umu.shape)
        new = torch.empty_like(state)
        torch.add(uq, inputs[..., :1, :], out=new[..., :1, :])
        torch.add(umu, pulled, out=new[..., 1:, :])
        return new.flatten(-2)

    def _context(self, q: Tensor, n: Tensor, atoms: Atoms) -> Tensor:
        return self.context.apply(torch.cat([q, n], dim=-2).flatten(-2), atoms).unflatten(-1, (3, -1))


@dataclass(frozen=True)
class FromScalars(AtomOperator):
    """A mixing before which there are no vectors: q (F) to [q, μ] (4F)."""

    mixing: VectorMixing

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Mix scalars."""
        *_, frozen_w, _, _, dot, _ = self.mixing._frozen(atoms, x)
        q = x[..., None, :]
        context = self.mixing._context(q, torch.zeros_like(q), atoms)
        scalar = (q + context[..., :1, :]).addcmul_(dot, context[..., 2:, :])
        return torch.cat([scalar, context[..., 1:2, :] * frozen_w], dim=-2).flatten(-2)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return the transposed map."""
        return self.mixing.pull(u, atoms).unflatten(-1, (4, -1))[..., 0, :]


def _over_components(*pairs: Tensor, out: Tensor | None = None) -> Float[Tensor, "... 1 F"]:
    """Sum over components of products of two (..., 3, F) each: a·b, or a·b + c·d; less to write than all products."""
    (first, second), *more = list(zip(pairs[::2], pairs[1::2], strict=True))
    total = torch.mul(first[..., :1, :], second[..., :1, :], out=out)
    for k in (1, 2):
        total.addcmul_(first[..., k : k + 1, :], second[..., k : k + 1, :])
    for a, b in more:
        for k in range(3):
            total.addcmul_(a[..., k : k + 1, :], b[..., k : k + 1, :])
    return total
