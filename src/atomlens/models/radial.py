"""Radial basis functions and cutoff functions of interatomic distances."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.config import CutoffConfig, RadialConfig


class GaussianBasis(nn.Module):
    r"""Gaussians on a grid of distances, :math:`\exp(-(d - \mu_k)^2 / 2\sigma_k^2)`.

    With ``kind="gaussian"`` centres run from `start` to the cutoff, one grid step wide (SchNet,
    arXiv:1706.08566); with ``kind="gaussian_centered"`` all sit at zero and widths run over that grid.
    """

    offsets: Tensor
    widths: Tensor

    def __init__(self, config: RadialConfig) -> None:
        super().__init__()
        grid = torch.linspace(config.start, config.cutoff, config.n_rbf)
        if config.kind == "gaussian_centered":
            offsets, widths = torch.zeros_like(grid), grid
        else:
            step = grid[1] - grid[0] if config.n_rbf > 1 else grid.new_tensor(config.cutoff - config.start)
            offsets, widths = grid, step.abs() * torch.ones_like(grid)
        if config.trainable:
            self.offsets, self.widths = nn.Parameter(offsets), nn.Parameter(widths)
        else:
            self.register_buffer("offsets", offsets)
            self.register_buffer("widths", widths)

    def forward(self, distances: Float[Tensor, " E"]) -> Float[Tensor, "E R"]:
        """Expand distances in Å."""
        return torch.exp(-0.5 * ((distances[:, None] - self.offsets) / self.widths) ** 2)


class BesselBasis(nn.Module):
    r"""Spherical Bessel functions of order zero, :math:`\sin(n\pi d / r_c) / d` (DimeNet, arXiv:2003.03123)."""

    freqs: Tensor

    def __init__(self, config: RadialConfig) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.arange(1, config.n_rbf + 1) * math.pi / config.cutoff)

    def forward(self, distances: Float[Tensor, " E"]) -> Float[Tensor, "E R"]:
        """Expand distances in Å."""
        d = distances[:, None]
        return torch.sin(d * self.freqs) / torch.where(d == 0, 1.0, d)


class InversePowers(nn.Module):
    r"""Inverse powers, damped at short range: :math:`e_n = (1 + d^2/\ell^2)^{-n/2}`, n = 1 .. n_rbf.

    They fall as :math:`(\ell/d)^n` for :math:`d \gg \ell` (slope :math:`-n\,d^2/(d^2 + \ell^2)` in logarithms) and are
    smooth at zero, where they look like Gaussians of width :math:`\ell/\sqrt n`. Our choice.
    """

    length: Tensor
    powers: Tensor

    def __init__(self, config: RadialConfig) -> None:
        super().__init__()
        self.register_buffer("length", torch.tensor([config.length]))
        self.register_buffer("powers", torch.arange(1.0, config.n_rbf + 1.0))

    def forward(self, distances: Float[Tensor, " E"]) -> Float[Tensor, "E R"]:
        """Expand distances in Å."""
        return torch.exp(-0.5 * torch.log1p((distances[:, None] / self.length) ** 2) * self.powers)


class CosineCutoff(nn.Module):
    r"""Behler's cutoff, :math:`\frac12(1 + \cos \pi d / r_c)` inside and 0 outside."""

    cutoff: Tensor

    def __init__(self, config: CutoffConfig) -> None:
        super().__init__()
        self.register_buffer("cutoff", torch.tensor([config.cutoff]))

    def forward(self, distances: Float[Tensor, " E"]) -> Float[Tensor, " E"]:
        """Weight of every distance."""
        return 0.5 * (torch.cos(distances * math.pi / self.cutoff) + 1.0) * (distances < self.cutoff)


class MollifierCutoff(nn.Module):
    r"""Smooth bump, :math:`\exp(1 - 1/(1 - (d/r_c)^2))` inside and 0 outside."""

    cutoff: Tensor
    eps: Tensor

    def __init__(self, config: CutoffConfig) -> None:
        super().__init__()
        self.register_buffer("cutoff", torch.tensor([config.cutoff]))
        self.register_buffer("eps", torch.tensor([1e-7]))

    def forward(self, distances: Float[Tensor, " E"]) -> Float[Tensor, " E"]:
        """Weight of every distance."""
        inside = (distances + self.eps < self.cutoff).to(distances.dtype)
        return torch.exp(1.0 - 1.0 / (1.0 - (distances * inside / self.cutoff) ** 2)) * inside


class PolynomialCutoff(nn.Module):
    r"""Smooth step, 1 up to the onset and :math:`1 - 6x^5 + 15x^4 - 10x^3` from there, 0 from the cutoff on.

    With :math:`x = (d - r_{on})/(r_c - r_{on})`; first and second derivative vanish at both ends. The switching
    function of PhysNet (arXiv:1902.08408).
    """

    cutoff: Tensor
    onset: Tensor

    def __init__(self, config: CutoffConfig) -> None:
        super().__init__()
        self.register_buffer("cutoff", torch.tensor([config.cutoff]))
        self.register_buffer("onset", torch.tensor([config.onset]))

    def forward(self, distances: Float[Tensor, " E"]) -> Float[Tensor, " E"]:
        """Weight of every distance."""
        x = ((distances - self.onset) / (self.cutoff - self.onset)).clamp(0.0, 1.0)
        return 1.0 - x**3 * (10.0 - x * (15.0 - 6.0 * x))


def filter_layer(config: RadialConfig, n_inputs: int, n_outputs: int) -> nn.Linear:
    """Layer of a filter network. Over inverse powers its bias is kept at zero, or filters would not fall off."""
    layer = nn.Linear(n_inputs, n_outputs)
    if config.kind == "inverse_powers":
        del layer.bias
        layer.register_buffer("bias", torch.zeros(n_outputs))
    return layer


def make_basis(config: RadialConfig) -> nn.Module:
    """Build the radial basis that a configuration names."""
    if config.kind == "inverse_powers":
        return InversePowers(config)
    return BesselBasis(config) if config.kind == "bessel" else GaussianBasis(config)


def make_cutoff(config: CutoffConfig) -> nn.Module:
    """Build the cutoff function that a configuration names."""
    if config.kind == "polynomial":
        return PolynomialCutoff(config)
    return CosineCutoff(config) if config.kind == "cosine" else MollifierCutoff(config)
