"""The chain by automatic differentiation, for any architecture that passes atom states from layer to layer.

A relevance rule is imposed while the model runs, through torch's function dispatch: activations, products of two
signals and weights are replaced by versions with the same value whose derivative is the rule's linear map. No module
is changed, so nothing has to be put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from atomlens.chain.chain import Chain, Layer
from atomlens.chain.edges import EdgeMatrices, PairIndex
from atomlens.chain.operators import Dense, Identity
from atomlens.chain.rules import Gamma, Gradient, Rule
from atomlens.models import shifted_softplus

# Elementwise functions that are held by the gain of the rule.
_ELEMENTWISE: frozenset[Any] = frozenset(
    {
        shifted_softplus,
        functional.silu,
        functional.softplus,
        functional.relu,
        functional.elu,
        functional.gelu,
        functional.leaky_relu,
        functional.selu,
        functional.mish,
        functional.tanh,
        functional.sigmoid,
        torch.tanh,
        torch.sigmoid,
        torch.relu,
        torch.exp,
        torch.Tensor.tanh,
        torch.Tensor.sigmoid,
        torch.Tensor.relu,
        torch.Tensor.exp,
    }
)
# Powers y^p with p > 0 are held as (y^(p-1))_held y. So sqrt(v·v) becomes (v/|v|)·v, the norm with its direction held.
_ROOTS: frozenset[Any] = frozenset({torch.sqrt, torch.square, torch.Tensor.sqrt, torch.Tensor.square})
_POWERS: frozenset[Any] = frozenset({torch.pow, torch.Tensor.pow, torch.Tensor.__pow__})
_PRODUCTS: frozenset[Any] = frozenset(
    {torch.mul, torch.multiply, torch.Tensor.mul, torch.Tensor.multiply, torch.Tensor.__mul__, torch.Tensor.__rmul__}
)
_NORMS: frozenset[Any] = frozenset({torch.linalg.vector_norm, torch.linalg.norm, torch.norm, torch.Tensor.norm})
_WEIGHTS: frozenset[Any] = frozenset({torch.softmax, functional.softmax, torch.Tensor.softmax})

StateFunction = Callable[[Tensor], Tensor]


class _RuleMode(TorchFunctionMode):
    """Run torch functions so that their derivatives are the linear maps of `Gate` or `Gamma`.

    What depends on the signals is marked as it is computed: parameters of a model may require gradients too, and
    a filter times a signal is no product of two signals.
    """

    def __init__(self, rule: Rule, signals: Sequence[Tensor]) -> None:
        super().__init__()
        self.rule = rule
        for signal in signals:
            _mark(signal)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _is_signal([*args, *kwargs.values()]):
            return func(*args, **kwargs)
        result = _mark(self._held(func, args, kwargs))
        if func is torch.Tensor.__setitem__:
            _mark(args[0])
        return result

    def _held(self, func: Any, args: Any, kwargs: Any) -> Any:
        if func in _ELEMENTWISE:
            kwargs.pop("inplace", None)  # the input is needed as it was
            return self._elementwise(func, *args, **kwargs)
        if func in _ROOTS or (func in _POWERS and isinstance(args[1], int | float) and args[1] > 0):
            y = args[0]
            held = y.detach()
            return torch.where(held == 0, 0.0, func(held, *args[1:]) / torch.where(held == 0, 1.0, held)) * y
        if func in _PRODUCTS and _is_signal(args[0]) and _is_signal(args[1]):
            a, b = args[:2]
            return 0.5 * (a.detach() * b + a * b.detach())
        if func in _NORMS:
            return self._norm(func, *args, **kwargs)
        if func in _WEIGHTS:
            return func(*args, **kwargs).detach()
        if func is functional.linear and isinstance(self.rule, Gamma):
            return self._gamma(self.rule.gamma, *args, **kwargs)
        return func(*args, **kwargs)

    @staticmethod
    def _norm(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        (direction,) = _gradient_of(lambda v: func(v, *args, **kwargs), x)
        value = func(x.detach(), *args, **kwargs)
        dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
        held = torch.sum(direction * x, dim=dims).reshape(value.shape)
        return held + (value - held).detach()

    def _elementwise(self, func: Any, y: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        def activation(x: Tensor) -> Tensor:
            return func(x, *args, **kwargs)

        value = activation(y.detach())
        gain = self.rule.gain(activation, y.detach(), value)
        return gain * y + (value - gain * y.detach())

    @staticmethod
    def _gamma(gamma: float, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        contributions = x[..., None, :] * weight
        z = functional.linear(x, weight, bias).detach()
        up = (z > 0)[..., None]
        same_sign = torch.where(up, contributions.detach() > 0, contributions.detach() < 0).to(x.dtype)
        p = (contributions * (1 + gamma * same_sign)).sum(-1)
        if bias is not None:
            p = p + bias * (1 + gamma * torch.where(up[..., 0], bias > 0, bias < 0).to(x.dtype))
        held = p.detach()
        return p * torch.where(held == 0, 0.0, z / torch.where(held == 0, 1.0, held))


def _mark(value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.requires_grad:  # what was detached is held, and carries nothing
            cast(Any, value)._carries_relevance = True
    elif isinstance(value, tuple | list):
        for part in value:
            _mark(part)
    return value


def _is_signal(value: Any) -> bool:
    if isinstance(value, Tensor):
        return hasattr(value, "_carries_relevance")
    # Sequences of tensors (torch.cat) are looked into; this runs at every call of torch, so the rest is not called on.
    return isinstance(value, tuple | list) and any(
        hasattr(part, "_carries_relevance") if isinstance(part, Tensor) else _is_signal(part)
        for part in value
        if isinstance(part, Tensor | tuple | list)
    )


def _gradient_of(function: StateFunction, x: Tensor) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(function(leaf).sum(), leaf)


def relevance_mode(rule: Rule, *signals: Tensor) -> AbstractContextManager[Any]:
    """Context in which derivatives by `signals` are the linear maps of `rule`; nothing is patched.

    Functions of the signals keep their values. See `automatic_chain` for what is recognised.
    """
    return nullcontext() if isinstance(rule, Gradient) else _RuleMode(rule, signals)


def jacobian(function: StateFunction, x: Float[Tensor, "N C"], rule: Rule) -> tuple[Tensor, Float[Tensor, "N O N C"]]:
    """Value (N, O) of a layer at `x`, and its derivative (N, O, N, C) under a rule."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        with relevance_mode(rule, x):
            y = function(x)
        basis = torch.eye(y.numel(), dtype=y.dtype, device=y.device).reshape(-1, *y.shape)
        (rows,) = torch.autograd.grad(y, x, basis, is_grads_batched=True)
    return y.detach(), rows.reshape(*y.shape, *x.shape)


def automatic_chain(
    layers: Sequence[StateFunction],
    embedding: Float[Tensor, "N C"],
    readout: StateFunction,
    pairs: PairIndex,
    rule: Rule,
    constant: float = 0.0,
) -> Chain:
    r"""Build the chain of any model by automatic differentiation of its layers under a rule.

    Parameters
    ----------
    layers
        Functions from atom states (N, C) to atom states (N, C'), the model's layers in order. Whatever else they
        need (edges, filters) they bring along.
    embedding
        States before the first layer.
    readout
        Function from the last states to the prediction, a scalar tensor.
    pairs
        Directed pairs of atoms that exchange messages.
    rule
        How to hold the non-linear parts (see `atomlens.chain.rules`).
    constant
        What is added to the readout's output to give the prediction.

    Raises
    ------
    ValueError
        If a layer carries state between atoms that are not in `pairs`.

    Notes
    -----
    Time and memory grow with (N C)^2: meant for small systems and new architectures; SchNet and PaiNN have closed
    forms. Recognised are activations, powers and roots, elementwise products (not in place), norms, softmax (held
    fixed, as attention is in arXiv:2202.07304) and linear layers of torch; anything else keeps its plain
    derivative, and what that leaves of the value is bias.
    """
    chain_layers = []
    x = embedding.detach()
    for number, function in enumerate(layers):
        y, blocks = jacobian(function, x, rule)
        linear = torch.einsum("iojc,jc->io", blocks, x)
        atoms = torch.arange(len(x), device=x.device)
        stay = blocks[atoms, :, atoms]
        carried = blocks[pairs.target, :, pairs.source]
        _check_local(blocks, pairs, number)
        chain_layers.append(Layer(Dense(stay), Identity(), EdgeMatrices(carried), Identity(), y - linear))
        x = y
    last = x.clone().requires_grad_()
    with torch.enable_grad(), relevance_mode(rule, last):
        value = readout(last)
        (weights,) = torch.autograd.grad(value, last)
    rest = float(value.detach() - (weights * x).sum())
    return Chain(
        pairs=pairs,
        embedding=embedding.detach(),
        layers=tuple(chain_layers),
        readout=weights,
        readout_bias=torch.zeros_like(weights[:, 0]),
        constant=constant + rest,
        prediction=constant + float(value.detach()),
    )


def _check_local(blocks: Tensor, pairs: PairIndex, number: int) -> None:
    strength = blocks.abs().amax(dim=(1, 3))
    allowed = torch.eye(len(strength), dtype=torch.bool, device=strength.device)
    allowed[pairs.target, pairs.source] = True
    outside = torch.where(allowed, 0.0, strength)
    if outside.max() > 1e-12 * strength.max():
        i, j = divmod(int(outside.argmax()), len(strength))
        raise ValueError(
            f"layer {number} carries state from atom {j} to atom {i}, which are not a pair in `pairs`; "
            "a chain needs layers that act along the given pairs only"
        )
