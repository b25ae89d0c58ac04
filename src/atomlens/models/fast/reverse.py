r"""Derivatives of the small networks of a model, written out: each step returns its output and its way back.

A way back takes the derivative of a number E by the step's output to that by its input. Autograd does the same and
asks nothing of anybody, but for a single molecule its own work is as much as the arithmetic. All of this runs under
`torch.inference_mode`, and derivatives by weights are not made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from atomlens.models.activations import Activation, shifted_softplus
from atomlens.models.radial import CosineCutoff, GaussianBasis

Pull = Callable[[Tensor], Tensor]
# Takes the atoms' scalars (N, F) to an output and to the derivative of E by the scalars.
Readout = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class PairGradients:
    """Derivatives of E by what describes pairs, shaped as in `PairFeatures`; None where directions play no part."""

    radial: Float[Tensor, "P R"]
    envelope: Float[Tensor, " P"]
    directions: Float[Tensor, "D P 3"] | None


def _silu_slope(gradient: Tensor, x: Tensor) -> Tensor:
    return torch.ops.aten.silu_backward(gradient, x)


def _softplus_slope(gradient: Tensor, x: Tensor) -> Tensor:
    # beta and threshold as torch's softplus has them where nothing is said.
    return torch.ops.aten.softplus_backward(gradient, x, 1.0, 20.0)


_SLOPES: dict[Activation, Callable[[Tensor, Tensor], Tensor]] = {
    functional.silu: _silu_slope,
    functional.softplus: _softplus_slope,
    shifted_softplus: _softplus_slope,
}


def has_slope(activation: Activation) -> bool:
    """Whether the derivative of an activation is written out here."""
    return activation in _SLOPES


def network(layers: Sequence[nn.Linear], activation: Activation, x: Float[Tensor, "N I"]) -> tuple[Tensor, Pull]:
    r"""Linear layers with an activation between: :math:`x_{k+1} = a(z_k),\ z_k = W_k x_k + b_k`, linear at the end.

    Its way back is :math:`g_k = (g_{k+1} \odot a'(z_k))\, W_k`.
    """
    slope, inner = _SLOPES[activation], []
    for layer in layers[:-1]:
        z = torch.addmm(layer.bias, x, layer.weight.T)
        inner.append(z)
        x = activation(z)
    y = torch.addmm(layers[-1].bias, x, layers[-1].weight.T)

    def pull(gradient: Tensor) -> Tensor:
        gradient = torch.mm(gradient, layers[-1].weight)
        for z, layer in zip(reversed(inner), reversed(layers[:-1]), strict=True):
            gradient = torch.mm(slope(gradient, z), layer.weight)
        return gradient

    return y, pull


def of_distances(function: nn.Module, distances: Float[Tensor, " P"]) -> tuple[Tensor, Pull]:
    r"""A radial basis or cutoff function, and its way back to distances.

    Gaussians, :math:`e_k' = e_k\,(\mu_k - d)/\sigma_k^2`, and the cosine, :math:`f_c' = -\frac{\pi}{2 r_c}
    \sin(\pi d/r_c)` inside, are written out; for others autograd works on the distances alone.
    """
    if type(function) is GaussianBasis:
        with torch.no_grad():
            values = function(distances)
            slopes = torch.mul(values, (function.offsets - distances[:, None]) / function.widths.square())
        return values, lambda gradient: (gradient * slopes).sum(1)
    if type(function) is CosineCutoff:
        with torch.no_grad():
            phase = distances * (math.pi / function.cutoff)
            inside = distances < function.cutoff
            values = torch.cos(phase).add_(1.0).mul_(0.5).mul_(inside)
            slopes = torch.sin(phase).mul_(-0.5 * math.pi / function.cutoff).mul_(inside)
        return values, lambda gradient: gradient * slopes
    with torch.enable_grad():
        leaf = distances.detach().requires_grad_()
        found = function(leaf)
    return found.detach(), lambda gradient: torch.autograd.grad(found, leaf, gradient)[0]
