r"""Messages of PaiNN, summed block by block of pairs so that what is computed for a pair never leaves the cache.

Filters, messages and their derivatives are F to 5F numbers a pair: written to memory and read back, they are what a
plain evaluation spends its time on. Here a block's filters are made, used and forgotten, and made again on the way
back.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.models.blocks import Space, blocks, must_be_plain, plain_gradients


def sum_messages(
    expansion: Float[Tensor, "P R"],
    weight: Float[Tensor, "O R"],
    directions: Float[Tensor, "D P 3"],
    states: Float[Tensor, "N S"],
    target: Int[Tensor, "D P"],
    source: Int[Tensor, "D P"],
) -> Float[Tensor, "N M"]:
    r"""Sum what arrives at every atom.

    With filters :math:`w = W e`, in parts s, R, v of F channels, and states :math:`[c^s, c^R, v]` of the senders
    (v has three components),

    .. math:: q_i = \sum_j w^s_{ij} \odot c^s_j, \qquad
        \mu_i = \sum_j (w^R_{ij} \odot c^R_j)\, \hat r_{ij} + w^v_{ij} \odot v_j

    Without the part v (states of 2F channels, filters of 2F) the last term is left out. Differentiable as often as
    needed; first derivatives go block by block too.

    Returns
    -------
    Tensor
        :math:`[q, \mu_x, \mu_y, \mu_z]`, shape (N, 4F).
    """
    if torch.is_grad_enabled():
        return _SumMessages.apply(expansion, weight, directions, states, target, source)
    return _sum(expansion, weight, directions, states, target, source)


def plain_sum_messages(
    expansion: Float[Tensor, "P R"],
    weight: Float[Tensor, "O R"],
    directions: Float[Tensor, "D P 3"],
    states: Float[Tensor, "N S"],
    target: Int[Tensor, "D P"],
    source: Int[Tensor, "D P"],
) -> Float[Tensor, "N M"]:
    """`sum_messages` in torch's own functions: its definition, and its way to second derivatives."""
    n_ways, n_pairs = target.shape
    sent = states.index_select(0, source.flatten()).unflatten(0, (n_ways, n_pairs))
    filters = expansion @ weight.T
    n = _features(weight, states)
    scalar = filters[:, :n] * sent[..., :n]
    radial = filters[:, n : 2 * n] * sent[..., n : 2 * n]
    vector = radial[..., None, :] * directions[..., None]
    if states.shape[1] > 2 * n:
        vector = vector + filters[:, None, 2 * n :] * sent[..., 2 * n :].unflatten(-1, (3, n))
    messages = torch.cat([scalar, vector.flatten(-2)], dim=-1).flatten(0, 1)
    return messages.new_zeros(len(states), 4 * n).index_add(0, target.flatten(), messages)


class _SumMessages(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Tensor) -> Tensor:
        expansion, weight, directions, states, target, source = inputs
        return _sum(expansion, weight, directions, states, target, source)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        needed = ctx.needs_input_grad[:4]
        expansion, weight, directions, states, target, source = ctx.saved_tensors
        if must_be_plain(gradient):
            found = plain_gradients(
                lambda e, w, d, x: plain_sum_messages(e, w, d, x, target, source),
                (expansion, weight, directions, states),
                needed,
                gradient,
            )
        else:
            found = _gradients(expansion, weight, directions, states, target, source, gradient, needed)
        return (*found, None, None)


def _features(weight: Tensor, states: Tensor) -> int:
    # Filters have the parts s, R (and v), states the parts s, R (and three components).
    return weight.shape[0] // 2 if weight.shape[0] == states.shape[1] else weight.shape[0] // 3


def _sum(
    expansion: Tensor, weight: Tensor, directions: Tensor, states: Tensor, target: Tensor, source: Tensor
) -> Tensor:
    n = _features(weight, states)
    ways, n_pairs = target.shape
    has_vectors = states.shape[1] > 2 * n
    result = states.new_zeros(len(states), 4 * n)
    space, transposed = Space(states), weight.T
    for rows in blocks(n_pairs, ways * 5 * n):
        size = rows.stop - rows.start
        filters = torch.mm(expansion[rows], transposed, out=space("filters", size, weight.shape[0]))
        sent = space("sent", ways * size, states.shape[1])
        torch.index_select(states, 0, source[:, rows].reshape(-1), out=sent)
        sent = sent.view(ways, size, -1)
        messages = space("messages", ways, size, 4, n)
        products = sent[..., : 2 * n].mul_(filters[:, : 2 * n])
        messages[:, :, 0] = products[..., :n]
        vector = messages[:, :, 1:]
        torch.mul(products[..., None, n:], directions[:, rows, :, None], out=vector)
        if has_vectors:
            vector.addcmul_(sent[..., 2 * n :].view(ways, size, 3, n), filters[:, None, 2 * n :])
        result.index_add_(0, target[:, rows].reshape(-1), messages.view(ways * size, -1))
    return result


def _gradients(
    expansion: Tensor,
    weight: Tensor,
    directions: Tensor,
    states: Tensor,
    target: Tensor,
    source: Tensor,
    gradient: Tensor,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Derivatives by expansion, weight, directions and states, where needed."""
    n = _features(weight, states)
    ways, n_pairs = target.shape
    width = states.shape[1]
    d_expansion, d_weight, d_directions, d_states = (
        torch.zeros_like(x, memory_format=torch.contiguous_format) if need else None
        for x, need in zip((expansion, weight, directions, states), needed, strict=True)
    )
    gradient = gradient.contiguous()
    space, transposed = Space(states), weight.T
    for rows in blocks(n_pairs, ways * 5 * n):
        size = rows.stop - rows.start
        filters = torch.mm(expansion[rows], transposed, out=space("filters", size, weight.shape[0]))
        senders = source[:, rows].reshape(-1)
        sent = torch.index_select(states, 0, senders, out=space("sent", ways * size, width)).view(ways, size, width)
        arriving = space("arriving", ways * size, 4 * n)
        torch.index_select(gradient, 0, target[:, rows].reshape(-1), out=arriving)
        arriving = arriving.view(ways, size, 4, n)
        vector, unit = arriving[:, :, 1:], directions[:, rows, :, None]
        # What parts s and R of the products receive, side by side.
        received = space("received", ways, size, 2, n)
        received[:, :, 0] = arriving[:, :, 0]
        along = torch.mul(vector[:, :, 0], unit[:, :, 0], out=received[:, :, 1])
        for x in (1, 2):
            along.addcmul_(vector[:, :, x], unit[:, :, x])
        received = received.view(ways, size, 2 * n)
        held = filters[:, : 2 * n]
        if d_expansion is not None or d_weight is not None:
            d_filters = space("d_filters", size, weight.shape[0])
            factors = [(d_filters[:, : 2 * n], received[way], sent[way, :, : 2 * n]) for way in range(ways)]
            if width > 2 * n:
                v = sent[..., 2 * n :].view(ways, size, 3, n)
                part = d_filters[:, 2 * n :]
                factors += [(part, vector[way, :, x], v[way, :, x]) for way in range(ways) for x in range(3)]
            _sum_products(factors)
            if d_weight is not None:
                d_weight.addmm_(d_filters.T, expansion[rows])
            if d_expansion is not None:
                torch.mm(d_filters, weight, out=d_expansion[rows])
        if d_directions is not None:
            radial = torch.mul(sent[..., n : 2 * n], held[:, n:], out=space("radial", ways, size, n))
            products = torch.mul(vector, radial[:, :, None], out=space("products", ways, size, 3, n))
            d_directions[:, rows] = products.sum(-1)
        if d_states is not None:
            # The senders' states have been used: their place takes the derivatives.
            torch.mul(received, held, out=sent[..., : 2 * n])
            if width > 2 * n:
                torch.mul(vector, filters[:, None, 2 * n :], out=sent[..., 2 * n :].view(ways, size, 3, n))
            d_states.index_add_(0, senders, sent.view(ways * size, width))
    return d_expansion, d_weight, d_directions, d_states


def _sum_products(factors: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Sum a b over all (out, a, b) of one out; whatever out held is forgotten."""
    begun: set[int] = set()
    for out, a, b in factors:
        if out.data_ptr() in begun:
            out.addcmul_(a, b)
        else:
            torch.mul(a, b, out=out)
            begun.add(out.data_ptr())
