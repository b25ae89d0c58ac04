r"""SchNet's sum over neighbours, block by block of pairs."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.models.fast.blocks import Space, blocks, must_be_plain, plain_gradients


def convolve(
    filters: Float[Tensor, "P M"],
    states: Float[Tensor, "N M"],
    target: Int[Tensor, "D P"],
    source: Int[Tensor, "D P"],
) -> Float[Tensor, "N M"]:
    r"""Sum :math:`y_i = \sum_j w_{ij} \odot x_j` over pairs whose ways share a filter.

    Differentiable as often as needed; first derivatives go block by block too.
    """
    if not torch.is_grad_enabled():
        return convolution_sums(filters, states, target, source)
    return _Convolve.apply(filters, states, target, source)


def plain_convolve(filters: Tensor, states: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """`convolve` in torch's own functions: its definition, and its way to second derivatives."""
    sent = states.index_select(0, source.flatten()).unflatten(0, target.shape) * filters
    return torch.zeros_like(states).index_add(0, target.flatten(), sent.flatten(0, 1))


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Tensor) -> Tensor:
        filters, states, target, source = inputs
        return convolution_sums(filters, states, target, source)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        filters, states, target, source = ctx.saved_tensors
        (gradient,) = gradients
        needed = ctx.needs_input_grad[:2]
        if must_be_plain(gradient):
            found = plain_gradients(
                lambda w, x: plain_convolve(w, x, target, source), (filters, states), needed, gradient
            )
        else:
            found = convolution_gradients(filters, states, target, source, gradient, needed)
        return (*found, None, None)


def convolution_sums(filters: Tensor, states: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """`convolve` without a way back."""
    ways, n_pairs = target.shape
    width = states.shape[1]
    result, space = torch.zeros_like(states), Space(states)
    for rows in blocks(n_pairs, ways * width):
        size = rows.stop - rows.start
        sent = torch.index_select(states, 0, source[:, rows].flatten(), out=space("sent", ways * size, width))
        sent.view(ways, size, width).mul_(filters[rows])
        result.index_add_(0, target[:, rows].flatten(), sent)
    return result


def convolution_gradients(
    filters: Tensor, states: Tensor, target: Tensor, source: Tensor, gradient: Tensor, needed: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """Derivatives of `convolve` by filters and states, where needed."""
    ways, n_pairs = target.shape
    width = states.shape[1]
    d_filters = torch.empty_like(filters) if needed[0] else None
    d_states = torch.zeros_like(states) if needed[1] else None
    gradient, space = gradient.contiguous(), Space(states)
    for rows in blocks(n_pairs, ways * width):
        size = rows.stop - rows.start
        senders = source[:, rows].flatten()
        arriving = space("arriving", ways * size, width)
        torch.index_select(gradient, 0, target[:, rows].flatten(), out=arriving)
        arriving = arriving.view(ways, size, width)
        if d_filters is not None:
            sent = torch.index_select(states, 0, senders, out=space("sent", ways * size, width))
            sent = sent.view(ways, size, width)
            torch.mul(sent[0], arriving[0], out=d_filters[rows])
            for way in range(1, ways):
                d_filters[rows].addcmul_(sent[way], arriving[way])
        if d_states is not None:
            d_states.index_add_(0, senders, arriving.mul_(filters[rows]).view(ways * size, width))
    return d_filters, d_states
