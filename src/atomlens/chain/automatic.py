"""The chain by automatic differentiation, for any architecture that passes atom states from layer to layer.

Every layer is recorded under a rule (`atomlens.recording.under_rule`), so its derivative is the rule's linear map. No
module is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.chain.chain import Chain, Layer
from atomlens.chain.edges import EdgeMatrices, PairIndex
from atomlens.chain.operators import Dense, Identity
from atomlens.chain.rules import Rule
from atomlens.recording import under_rule

StateFunction = Callable[[Tensor], Tensor]


def jacobian(function: StateFunction, x: Float[Tensor, "N C"], rule: Rule) -> tuple[Tensor, Float[Tensor, "N O N C"]]:
    """Value (N, O) of a layer at `x`, and its derivative (N, O, N, C) under a rule."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        y = under_rule(rule, function, x)
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
        How to freeze the non-linear parts (see `atomlens.chain.rules`).
    constant
        What is added to the readout's output to give the prediction.

    Raises
    ------
    ValueError
        If a layer carries state between atoms that are not in `pairs`.
    InputError
        If a layer applies an operator to the states that has no rule.

    Notes
    -----
    Time and memory grow with (N C)^2: meant for small systems. SchNet and PaiNN have closed forms; whole models are
    recorded (`atomlens.explain_module`). Recognised are activations, powers and roots, products, norms, softmax
    (frozen, as attention is in arXiv:2202.07304), and everything that is linear, also in place and inside
    TorchScript; an operator without a rule is refused by its name.
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
    with torch.enable_grad():
        value = under_rule(rule, readout, last)
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
