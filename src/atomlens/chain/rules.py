"""Relevance rules: how each non-linear part of a network is frozen to make it linear.

A rule answers three questions, for activations, for layers of weights, and for products of two signals. The
closed forms of the architectures ask them of a `Rule`; automatic differentiation (`automatic`) asks the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from atomlens.chain.operators import AtomOperator, Compose, Diagonal, Shared, SignedLinear
from atomlens.models import Activation


@dataclass(frozen=True)
class Affine:
    """A per-atom map with offset, y_i = M_i x_i + b_i."""

    operator: AtomOperator
    bias: Float[Tensor, "N C"]

    def then(self, other: Affine) -> Affine:
        """Apply the other map after this one."""
        factors: list[AtomOperator] = []
        for operator in (self.operator, other.operator):
            factors += operator.factors if isinstance(operator, Compose) else [operator]
        return Affine(Compose(tuple(factors)), other.operator.apply(self.bias, None) + other.bias)


def slope(activation: Activation, y: Tensor) -> Tensor:
    """Derivative of an elementwise function at every entry of `y`."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        (derivative,) = torch.autograd.grad(activation(y).sum(), y)
    return derivative


class Rule(ABC):
    """How to freeze the non-linear parts of a network.

    `product_share` is the part of the relevance of a product a·b that each factor carries: a·b counts as
    share (a_frozen b + a b_frozen), and what that leaves of a·b is an offset.
    """

    name: str
    product_share: float
    # Whether the linear network has the values of the model's own; if not, nothing is conserved.
    keeps_values: ClassVar[bool] = True

    @abstractmethod
    def gain(self, activation: Activation, y: Tensor, value: Tensor | None = None) -> Tensor:
        """Factor g with act(y) = g y + offset, frozen; same shape as `y`. `value` is act(y), where known."""

    def activation(
        self, activation: Activation, y: Float[Tensor, "N C"], value: Float[Tensor, "N C"] | None = None
    ) -> Affine:
        """The activation at pre-activations `y` as an affine map; `value` is act(y), where known."""
        value = activation(y) if value is None else value
        gain = self.gain(activation, y, value)
        return Affine(Diagonal(gain), torch.addcmul(value, gain, y, value=-1))

    def linear(self, weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None, x: Float[Tensor, "N I"]) -> Affine:
        """The layer W x + b at input `x` as an affine map."""
        offset = weight.new_zeros(len(x), len(weight)) if bias is None else bias.expand(len(x), -1)
        return Affine(Shared(weight.detach()), offset)

    def dense(
        self,
        layer: nn.Linear,
        activation: Activation,
        x: Float[Tensor, "N I"],
        frozen: Float[Tensor, "N H"] | None = None,
    ) -> tuple[Affine, Float[Tensor, "N O"]]:
        """A layer of weights followed by its activation as an affine map, and the output that goes on.

        Inputs `frozen` come after those of `x` and count as offset.
        """
        both = x if frozen is None else torch.cat([x, frozen], dim=-1)
        hidden = layer(both)
        active = activation(hidden)
        first = self.linear(layer.weight, layer.bias, both)
        if frozen is not None:
            first = freeze_last(first, frozen)
        return first.then(self.activation(activation, hidden, active)), active


@dataclass(frozen=True)
class Gate(Rule):
    r"""Freeze the ratio act(y) / y of every activation: act(y) = (act(y)/y) y.

    At y = 0 the ratio is its limit act'(0). An activation with act(0) != 0 is split as
    act(0) + ((act(y) - act(0))/y) y. The rule of Schnake et al. (arXiv:2006.03589) for smooth activations, as
    used on potentials by Bonneau, Lederer et al. (arXiv:2407.04526).
    """

    name: str = "gate"
    product_share: float = 0.5

    def gain(self, activation: Activation, y: Tensor, value: Tensor | None = None) -> Tensor:
        """The ratio (act(y) - act(0)) / y."""
        rise = (activation(y) if value is None else value) - activation(y.new_zeros(()))
        # Where the difference cancels, act'(y/2) is the ratio up to terms of y^2: both errors are of one size here.
        small = y.abs() < torch.finfo(y.dtype).eps ** (1 / 3)
        if not small.any():
            return rise / y
        return (rise / y.masked_fill(small, 1.0)).masked_scatter(small, slope(activation, 0.5 * y[small]))


@dataclass(frozen=True)
class Gradient(Rule):
    """Plain Taylor expansion: every layer is replaced by its tangent.

    For SchNet, and for PaiNN with the product rule ``full``, walks then add up to input times gradient of the model.
    With ``scalar`` vectors are frozen as ever, so it is the gradient of what is left.
    """

    name: str = "gradient"
    product_share: float = 1.0

    def gain(self, activation: Activation, y: Tensor, value: Tensor | None = None) -> Tensor:
        """The derivative act'(y)."""
        return slope(activation, y)


def _strengthened(
    weight: Float[Tensor, "O I"],
    bias: Float[Tensor, " O"] | None,
    x: Float[Tensor, "N I"],
    y: Float[Tensor, "N O"],
    gamma: float,
) -> tuple[SignedLinear, Float[Tensor, "N O"]]:
    r"""A layer whose contributions of the sign of its output y count 1 + γ times: the map of x, and the bias.

    .. math:: M_{kj} = w_{kj} + \gamma\,[w_{kj} x_j]_\pm / x_j, \qquad b_k + \gamma\,[b_k]_\pm
    """
    positive = (y > 0).to(x.dtype)
    signed = SignedLinear(
        plus=weight + gamma * weight.clamp(min=0),
        minus=weight + gamma * weight.clamp(max=0),
        gains=torch.ones_like(y),
        output_positive=positive,
        input_positive=(x > 0).to(x.dtype),
    )
    if bias is None:
        return signed, torch.zeros_like(y)
    return signed, bias + gamma * (positive * bias.clamp(min=0) + (1 - positive) * bias.clamp(max=0))


@dataclass(frozen=True)
class Gamma(Gate):
    r"""Generalised LRP-γ for signed inputs and outputs, with gated activations.

    Output k of a layer is z_k = Σ_j w_kj x_j + b_k. Contributions of the sign of z_k are strengthened by 1 + γ and
    the sum is scaled back to z_k:

    .. math::
        z_k = \frac{z_k}{p_k}
              \Big(\sum_j \big(w_{kj} x_j + \gamma\,[w_{kj} x_j]_{\pm}\big) + b_k + \gamma\,[b_k]_\pm\Big)

    where [.]± keeps the part of the sign of z_k and p_k is the bracket's value. The bias counts as one more input of
    value one (its strengthened part is max(b, 0) for positive outputs). |p_k| >= |z_k|, so nothing is divided by
    zero unless z_k is zero itself. γ = 0 is `Gate`. Layers that mix the components of vectors are left as they
    are, since signs of components depend on the orientation of the molecule.

    LRP-γ: Montavon et al. 2019 (doi:10.1007/978-3-030-28954-6_10); for inputs of both signs: Andéol et al.
    (arXiv:2106.04923, as implemented in zennit). The treatment of the bias is our choice.
    """

    name: str = "gamma"
    gamma: float = 0.25

    def __post_init__(self) -> None:
        if not (self.gamma >= 0 and self.gamma < float("inf")):
            raise ValueError(f"gamma is {self.gamma}; it must be zero or positive")

    def linear(self, weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None, x: Float[Tensor, "N I"]) -> Affine:
        """The layer with strengthened weights, scaled back to its true output."""
        z = functional.linear(x, weight.detach(), bias)
        signed, offset = _strengthened(weight.detach(), bias, x, z, self.gamma)
        p = signed.apply(x, None) + offset
        gains = torch.where(p == 0, 0.0, z / torch.where(p == 0, 1.0, p))
        return Affine(replace(signed, gains=gains), gains * offset)


@dataclass(frozen=True)
class Published(Gradient):
    r"""LRP-γ with the max-bias normalisation of Bonneau, Lederer et al. (arXiv:2407.04526), as their program has it.

    A layer with an activation, z = W x + b and y = act(z), is replaced by one whose *output differs*:

    .. math::
        \tilde y_k = \frac{y_k}{q_k} \Big( \sum_j \big(w_{kj} x_j + \gamma\,[w_{kj} x_j]_{\pm}\big)
            + b_k + \gamma\,[b_k]_\pm \Big), \qquad
        q_k = \max\Big( \sum_j \big(w_{kj} x_j + \gamma\,[w_{kj} x_j]_+\big),\; b_k + \gamma\,[b_k]_+ \Big)

    for :math:`y_k > 10^{-6}`; for :math:`y_k < -10^{-6}` with the parts of negative sign and a minimum; else zero. The
    ratio y/q is frozen. Because q is the larger of two parts and not their sum, nothing is conserved: what walks add
    up to is the output of the replaced network, and the residual is how far that is from the prediction. Layers
    without activation stay as they are, other functions and products keep their derivative, and vectors are frozen
    (product rule ``scalar``; SO3net's components of l > 0: between layers). Filter networks have layers with
    activations too, and are replaced like all others.
    """

    name: str = "published"
    gamma: float = 0.1
    keeps_values: ClassVar[bool] = False

    def dense(
        self,
        layer: nn.Linear,
        activation: Activation,
        x: Float[Tensor, "N I"],
        frozen: Float[Tensor, "N H"] | None = None,
    ) -> tuple[Affine, Float[Tensor, "N O"]]:
        """The replaced layer, and its output."""
        both = x if frozen is None else torch.cat([x, frozen], dim=-1)
        y = activation(layer(both))
        signed, own = _strengthened(layer.weight.detach(), layer.bias, both, y, self.gamma)
        sums = signed.apply(both, None)
        q = torch.where(y > 0, torch.maximum(sums, own), torch.minimum(sums, own))
        none = (y.abs() <= _SMALLEST) | (q == 0)
        gains = torch.where(none, 0.0, y / torch.where(none, 1.0, q))
        affine = Affine(replace(signed, gains=gains), gains * own)
        return affine if frozen is None else freeze_last(affine, frozen), gains * (sums + own)


# Outputs of less are dropped by the published program.
_SMALLEST = 1e-6


def freeze_last(affine: Affine, frozen: Float[Tensor, "N I"]) -> Affine:
    """Restrict a layer's map to its first inputs; what the last ones, at their values `frozen`, send becomes offset."""
    operator = affine.operator
    if not isinstance(operator, Shared | SignedLinear):
        raise TypeError(f"freeze_last needs the map of one layer of weights, received {type(operator).__name__}")
    width = operator.n_inputs
    kept, rest = operator.columns(0, width - frozen.shape[1]), operator.columns(width - frozen.shape[1], width)
    return Affine(kept, rest.apply(frozen, None) + affine.bias)


def make_rule(name: str, gamma: float = 0.25) -> Rule:
    """Rule by its name: gate, gamma, gradient or published; `gamma` is the strength of ``gamma`` alone.

    Raises
    ------
    ValueError
        If there is no rule of that name, or γ is negative.
    """
    if name == "gate":
        return Gate()
    if name == "gamma":
        return Gamma(gamma=gamma)
    if name == "gradient":
        return Gradient()
    if name == "published":
        return Published()
    raise ValueError(f"rule {name!r} is not known; choose gate, gamma, gradient or published")
