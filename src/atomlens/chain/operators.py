"""Linear maps that act on the state of one atom, a different one for each atom.

They are kept in factors (weights shared by all atoms, and per-atom diagonals), never as one matrix per atom:
applying them to many vectors is then a few large matrix products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Atoms = Int[Tensor, " B"] | None  # None: all atoms, in order


class AtomOperator(ABC):
    """Per-atom linear map M_i. Vectors come as (B, ..., C) with the atom (B,) that each row belongs to.

    Without atoms (None) there is one row for every atom, in order, and no parameter is gathered.
    """

    @abstractmethod
    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Return M_i x: (B, ..., C_in) to (B, ..., C_out)."""

    @abstractmethod
    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return u M_i, the transposed map: (B, ..., C_out) to (B, ..., C_in)."""


def rows_of(values: Float[Tensor, "N ..."], index: Int[Tensor, " B"] | None, like: Tensor) -> Tensor:
    """Rows of `values` (N, ...) at `index` (all for None), with axes of one where `like` (B, ..., C) has extra ones."""
    rows = values if index is None else values.index_select(0, index)
    return rows if like.dim() == 2 else rows.reshape(rows.shape[0], *[1] * (like.dim() - 2), *rows.shape[1:])


def scaled(x: Float[Tensor, "B ... C"], values: Float[Tensor, "N C"], index: Int[Tensor, " B"] | None) -> Tensor:
    """`x` (B, ..., C) times rows of `values` at `index` (all for None)."""
    if index is None or x.dim() > 2:
        return x * rows_of(values, index, x)
    return values.index_select(0, index).mul_(x)  # into the rows just gathered: one array less to go through


@dataclass(frozen=True)
class Identity(AtomOperator):
    """The map that changes nothing."""

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Return `x`."""
        return x

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Return `u`."""
        return u


@dataclass(frozen=True)
class Shared(AtomOperator):
    """One weight matrix (C_out, C_in) for all atoms."""

    weight: Float[Tensor, "O I"]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Multiply by the weight."""
        return x @ self.weight.T

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Multiply by the transposed weight."""
        return u @ self.weight

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return self.weight.shape[1]

    def columns(self, first: int, last: int) -> Shared:
        """The map restricted to inputs first..last-1."""
        return Shared(self.weight[:, first:last])


@dataclass(frozen=True)
class Diagonal(AtomOperator):
    """A diagonal matrix for each atom, by its entries (N, C)."""

    entries: Float[Tensor, "N C"]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Multiply channel by channel."""
        return scaled(x, self.entries, atoms)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Multiply channel by channel."""
        return scaled(u, self.entries, atoms)


@dataclass(frozen=True)
class Dense(AtomOperator):
    """A full matrix for each atom, (N, C_out, C_in); what automatic differentiation yields."""

    matrices: Float[Tensor, "N O I"]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Multiply by the atom's matrix."""
        return torch.einsum("boi,b...i->b...o", self.matrices if atoms is None else self.matrices[atoms], x)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Multiply by the atom's transposed matrix."""
        return torch.einsum("boi,b...o->b...i", self.matrices if atoms is None else self.matrices[atoms], u)


@dataclass(frozen=True)
class GatedSum(AtomOperator):
    """Two blocks of channels into one, the second weighted: [a, e] to a + s e, with s (N, C)."""

    weights: Float[Tensor, "N C"]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Add the second half, weighted, to the first."""
        a, e = x.chunk(2, dim=-1)
        return torch.addcmul(a, e, rows_of(self.weights, atoms, e))

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Spread over both halves."""
        return torch.cat([u, scaled(u, self.weights, atoms)], dim=-1)


@dataclass(frozen=True)
class SignedLinear(AtomOperator):
    r"""Weights that depend on the signs of inputs and outputs: the linear map of the generalised LRP-γ rule.

    .. math:: M_i = \rho_i \odot (W + \gamma\,(s_i W t_i)_+\, s_i t_i)

    written with W⁺ = W + γ max(W, 0), W⁻ = W + γ min(W, 0): entry (k, j) is taken from W⁺ where output k and
    input j have equal signs, else from W⁻.
    """

    plus: Float[Tensor, "O I"]
    minus: Float[Tensor, "O I"]
    gains: Float[Tensor, "N O"]
    output_positive: Float[Tensor, "N O"]
    input_positive: Float[Tensor, "N I"]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Multiply by the atom's signed weights."""
        up = rows_of(self.input_positive, atoms, x)
        positive, negative = x * up, x * (1 - up)
        out = rows_of(self.output_positive, atoms, x)
        y = out * (positive @ self.plus.T + negative @ self.minus.T)
        y = y + (1 - out) * (positive @ self.minus.T + negative @ self.plus.T)
        return y * rows_of(self.gains, atoms, y)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Multiply by the atom's transposed signed weights."""
        u = u * rows_of(self.gains, atoms, u)
        out = rows_of(self.output_positive, atoms, u)
        above, below = u * out, u * (1 - out)
        up = rows_of(self.input_positive, atoms, u)
        return up * (above @ self.plus + below @ self.minus) + (1 - up) * (above @ self.minus + below @ self.plus)

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return self.plus.shape[1]

    def columns(self, first: int, last: int) -> SignedLinear:
        """The map restricted to inputs first..last-1."""
        part = slice(first, last)
        return SignedLinear(
            self.plus[:, part], self.minus[:, part], self.gains, self.output_positive, self.input_positive[:, part]
        )


@dataclass(frozen=True)
class Compose(AtomOperator):
    """Several maps, applied from the first to the last."""

    factors: tuple[AtomOperator, ...]

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Apply the factors in order."""
        for factor in self.factors:
            x = factor.apply(x, atoms)
        return x

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Pull through the factors in reverse order."""
        for factor in reversed(self.factors):
            u = factor.pull(u, atoms)
        return u


@dataclass(frozen=True)
class Residual(AtomOperator):
    """The identity plus another map."""

    branch: AtomOperator

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Add the branch's output to the input."""
        return x + self.branch.apply(x, atoms)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Add the branch's pull to the input."""
        return u + self.branch.pull(u, atoms)


@dataclass(frozen=True)
class Total(AtomOperator):
    """The sum of two maps."""

    first: AtomOperator
    second: AtomOperator

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Add both outputs."""
        return self.first.apply(x, atoms) + self.second.apply(x, atoms)

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Add both pulls."""
        return self.first.pull(u, atoms) + self.second.pull(u, atoms)
