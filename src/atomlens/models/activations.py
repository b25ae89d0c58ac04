"""Activation functions by their names in files and configurations."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function_unary

Activation = Callable[[Tensor], Tensor]


def shifted_softplus(x: Tensor) -> Tensor:
    r"""Shifted softplus, :math:`\ln(1 + e^x) - \ln 2`, zero at zero (SchNet, arXiv:1706.08566, eq. 5).

    It takes part in torch's function dispatch, so that a relevance rule sees it as one function and not as a
    softplus and a subtraction.
    """
    if has_torch_function_unary(x):
        return handle_torch_function(shifted_softplus, (x,), x)
    # In place: softplus remembers its input, not its output.
    return functional.softplus(x).sub_(math.log(2.0))


def identity(x: Tensor) -> Tensor:
    """Return `x`: the activation of layers that have none."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "shifted_softplus": shifted_softplus,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "relu": functional.relu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": identity,
}


def activation_by_name(name: str) -> Activation:
    """Look up an activation function.

    Raises
    ------
    ValueError
        If the name is not one of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not known; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
