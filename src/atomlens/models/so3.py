r"""Algebra of rotations on real spherical harmonics: the harmonics themselves, and how two of them couple.

Components are counted by one index s = (l, m) in the order (0, 0), (1, -1), (1, 0), (1, 1), (2, -2), ...; with
:math:`l \le L` there are :math:`S = (L + 1)^2`. For l = 1 that is y, z, x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.polynomial import Legendre, Polynomial
from torch import Tensor, nn


def degrees(l_max: int) -> Int[Tensor, " S"]:
    """Degree l of every component.

    Examples
    --------
    >>> degrees(2).tolist()
    [0, 1, 1, 1, 2, 2, 2, 2, 2]
    """
    return torch.tensor([ell for ell in range(l_max + 1) for _ in range(2 * ell + 1)])


def orders(l_max: int) -> Int[Tensor, " S"]:
    """Order m of every component, from -l to l."""
    return torch.tensor([m for ell in range(l_max + 1) for m in range(-ell, ell + 1)])


@lru_cache(maxsize=16)
def legendre_coefficients(l_max: int) -> Float[Tensor, "L1 L1 L1"]:
    r"""Coefficients c_lmp of the polynomials in z = cos θ of the real spherical harmonics.

    .. math:: \Pi_{lm}(z) = \sqrt{\frac{(l-m)!}{(l+m)!}}\,\frac{d^m P_l}{dz^m} = \sum_p c_{lmp} z^p
    """
    table = np.zeros((l_max + 1,) * 3)
    for ell in range(l_max + 1):
        polynomial = Legendre.basis(ell).convert(kind=Polynomial)
        for m in range(ell + 1):
            found = polynomial.deriv(m) if m else polynomial
            factor = math.sqrt(math.factorial(ell - m) / math.factorial(ell + m))
            table[ell, m, : len(found.coef)] = factor * np.asarray(found.coef, dtype=np.float64)
    return torch.from_numpy(table)


def real_harmonics(directions: Float[Tensor, "E 3"], legendre: Float[Tensor, "L1 L1 L1"]) -> Float[Tensor, "E S"]:
    r"""Orthonormal real spherical harmonics of unit vectors.

    With :math:`A_m + i B_m = (x + i y)^m`,

    .. math:: Y_{lm} = \sqrt{\frac{2l+1}{2\pi}}\,\Pi_{l|m|}(z) \cdot
        \begin{cases} A_m & m > 0 \\ 1/\sqrt2 & m = 0 \\ B_{|m|} & m < 0 \end{cases}

    Parameters
    ----------
    directions
        Unit vectors.
    legendre
        `legendre_coefficients`.
    """
    l_max = legendre.shape[0] - 1
    x, y, z = directions.unbind(1)
    powers, a, b = [torch.ones_like(z)], [torch.full_like(z, math.sqrt(0.5))], [torch.zeros_like(z)]
    re, im = torch.ones_like(z), torch.zeros_like(z)
    for _ in range(l_max):
        powers.append(powers[-1] * z)
        re, im = re * x - im * y, re * y + im * x
        a.append(re)
        b.append(im)
    # Columns -L .. L.
    around = torch.stack([*reversed(b[1:]), *a], dim=1)
    polynomials = torch.stack(powers, dim=1) @ legendre.flatten(0, 1).T
    ell, m = (index.to(z.device) for index in (degrees(l_max), orders(l_max)))
    norms = torch.sqrt((2 * ell + 1).to(z.dtype) / (2 * math.pi))
    return norms * polynomials[:, ell * (l_max + 1) + m.abs()] * around[:, m + l_max]


@lru_cache(maxsize=16)
def coupling_coefficients(l_max: int) -> Float[Tensor, "S S S"]:
    r"""Clebsch-Gordan coefficients of real spherical harmonics, C[s_1, s_2, s].

    If a and b turn as the components of the harmonics do, so does :math:`c_s = \sum C_{s_1 s_2 s} a_{s_1} b_{s_2}`.
    From the coefficients of complex harmonics by the unitary matrix U that makes real ones of them,

    .. math:: C = \mathrm{Re} \sum U_{s_1 i}\,U_{s_2 j}\,\bar U_{s k}\,\langle i\,j | k \rangle

    where :math:`l_1 + l_2 + l` is even; others are zero, so that inversion turns c as it turns harmonics.
    """
    ell, m = degrees(l_max).tolist(), orders(l_max).tolist()
    size = len(ell)
    table = np.zeros((size, size, size))
    for i in range(size):
        for j in range(size):
            m3 = m[i] + m[j]
            first = max(abs(ell[i] - ell[j]), abs(m3))
            for l3 in range(first + (first + ell[i] + ell[j]) % 2, min(ell[i] + ell[j], l_max) + 1, 2):
                table[i, j, l3 * (l3 + 1) + m3] = clebsch_gordan(ell[i], m[i], ell[j], m[j], l3)
    u = _real_from_complex(l_max)
    found = np.einsum("ai,bj,ck,ijk->abc", u, u, u.conj(), table, optimize=True).real
    return torch.from_numpy(np.where(np.abs(found) < 1e-12, 0.0, found))


def clebsch_gordan(j1: int, m1: int, j2: int, m2: int, j: int) -> float:
    r"""Coefficient :math:`\langle j_1 m_1\, j_2 m_2 | j\, m_1 + m_2 \rangle` by Racah's formula, in exact fractions.

    Examples
    --------
    >>> clebsch_gordan(1, 1, 1, 1, 2)
    1.0
    """
    m, f = m1 + m2, math.factorial
    if abs(m) > j or not abs(j1 - j2) <= j <= j1 + j2:
        return 0.0
    square = Fraction((2 * j + 1) * f(j + j1 - j2) * f(j - j1 + j2) * f(j1 + j2 - j), f(j1 + j2 + j + 1)) * (
        f(j + m) * f(j - m) * f(j1 - m1) * f(j1 + m1) * f(j2 - m2) * f(j2 + m2)
    )
    total = Fraction(0)
    for k in range(max(0, j2 - j - m1, j1 - j + m2), min(j1 + j2 - j, j1 - m1, j2 + m2) + 1):
        below = f(k) * f(j1 + j2 - j - k) * f(j1 - m1 - k) * f(j2 + m2 - k) * f(j - j2 + m1 + k) * f(j - j1 - m2 + k)
        total += Fraction((-1) ** k, below)
    return math.copysign(math.sqrt(square * total * total), total)


def _real_from_complex(l_max: int) -> np.ndarray:
    r"""U with :math:`Y^{real}_s = \sum_k U_{sk} Y^{complex}_k`, the complex ones with Condon and Shortley's phase."""
    size = (l_max + 1) ** 2
    u = np.zeros((size, size), dtype=complex)
    for ell in range(l_max + 1):
        zero = ell * (ell + 1)
        u[zero, zero] = 1
        for m in range(1, ell + 1):
            sign = (-1) ** m / math.sqrt(2)
            u[zero + m, zero + m], u[zero + m, zero - m] = sign, 1 / math.sqrt(2)
            u[zero - m, zero - m], u[zero - m, zero + m] = 1j / math.sqrt(2), -1j * sign
    return u


class RotationAlgebra(nn.Module):
    """The constants of the algebra up to degree L, in float64 whatever the dtype of the model they belong to.

    They are buffers, and so part of a model's file: SchNetPack's own constants are rounded to float32, and a model that
    was read from its files keeps them.
    """

    legendre: Tensor
    coupling: Tensor

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.register_buffer("legendre", legendre_coefficients(l_max).clone())
        self.register_buffer("coupling", coupling_coefficients(l_max).clone())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # A model that goes to float32 and back would lose half of the digits, and with them the symmetry.
        kept: dict[str, Any] = {name: buffer for name, buffer in self.named_buffers() if not buffer.is_meta}
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            setattr(self, name, buffer.to(getattr(self, name).device))
        return self

    def harmonics(self, directions: Float[Tensor, "E 3"]) -> Float[Tensor, "E S"]:
        """`real_harmonics` in the dtype of `directions`."""
        return real_harmonics(directions, self.legendre.to(directions.dtype))

    def rotors(self, harmonics: Float[Tensor, "E S"]) -> Float[Tensor, "E S L1 S"]:
        r"""What edges do to states: :math:`M_{s l s_2} = \sum_{s_1 \in l} C_{s_1 s_2 s} Y_{s_1}`."""
        size = harmonics.shape[1]
        ell = degrees(math.isqrt(size) - 1).to(harmonics.device)
        chosen = (ell[:, None] == torch.arange(int(ell[-1]) + 1, device=ell.device)).to(harmonics.dtype)
        table = torch.einsum("abs,al->aslb", self.coupling.to(harmonics.dtype), chosen)
        return (harmonics @ table.flatten(1)).unflatten(1, table.shape[1:])

    def product(self, a: Float[Tensor, "N S F"], b: Float[Tensor, "N S F"]) -> Float[Tensor, "N S F"]:
        r"""Product of two states, channel by channel: :math:`c_s = \sum C_{s_1 s_2 s} a_{s_1} b_{s_2}`."""
        table = self.coupling.to(a.dtype).flatten(0, 1).T.expand(len(a), -1, -1)
        return torch.bmm(table, (a[:, :, None] * b[:, None]).flatten(1, 2))
