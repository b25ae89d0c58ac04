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

from atomlens.models.fast.blocks import Space, blocks, must_be_plain, plain_gradients


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
    if not torch.is_grad_enabled():
        return message_sums(expansion, weight, directions, states, target, source)
    if directions.requires_grad and weight.requires_grad:
        # Training on forces: second derivatives will be asked for, and they have no other way.
        return plain_sum_messages(expansion, weight, directions, states, target, source)
    return _SumMessages.apply(expansion, weight, directions, states, target, source)


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
        return message_sums(expansion, weight, directions, states, target, source)

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
            found = message_gradients(expansion, weight, directions, states, target, source, gradient, needed)
        return (*found, None, None)


def _features(weight: Tensor, states: Tensor) -> int:
    # Filters have the parts s, R (and v), states the parts s, R (and three components).
    return weight.shape[0] // 2 if weight.shape[0] == states.shape[1] else weight.shape[0] // 3


def message_sums(
    expansion: Tensor,
    weight: Tensor,
    directions: Tensor,
    states: Tensor,
    target: Tensor,
    source: Tensor,
) -> Tensor:
    """`sum_messages` without a way back."""
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
        scalar, *_ = messages.unbind(2)
        w_scalar, w_radial, *_ = filters.split(n, 1)
        c_scalar, c_radial, *_ = sent.split(n, 2)
        torch.mul(c_scalar, w_scalar, out=scalar)
        radial = torch.mul(c_radial, w_radial, out=space("radial", ways, size, n))
        vector = torch.mul(radial[:, :, None], directions[:, rows, :, None], out=messages[:, :, 1:])
        if has_vectors:
            vector.addcmul_(sent[..., 2 * n :].view(ways, size, 3, n), filters[:, None, 2 * n :])
        result.index_add_(0, target[:, rows].reshape(-1), messages.view(ways * size, -1))
    return result


def message_gradients(
    expansion: Tensor,
    weight: Tensor,
    directions: Tensor,
    states: Tensor,
    target: Tensor,
    source: Tensor,
    gradient: Tensor,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    r"""Derivatives of `sum_messages` by expansion, weight, directions and states, where needed.

    With :math:`[g^q, g^x, g^y, g^z]` arriving from an edge's target and :math:`g^R = \sum_x g^x \hat r_x`, every
    product of the forward sweep is met by one of the same shape: parts s, R, v of a filter's derivative are
    :math:`g^q c^s,\ g^R c^R,\ \sum_x g^x v_x`, those of a state's are :math:`g^q w^s,\ g^R w^R,\ g^x w^v`.
    """
    n = _features(weight, states)
    ways, n_pairs = target.shape
    width = states.shape[1]
    wanted = dict(zip(("expansion", "weight", "directions", "states"), needed, strict=True))
    d_expansion = torch.empty_like(expansion) if wanted["expansion"] else None
    d_weight = weight.new_zeros(weight.shape) if wanted["weight"] else None
    d_directions = torch.empty_like(directions) if wanted["directions"] else None
    d_states = states.new_zeros(states.shape) if wanted["states"] else None
    # One gap, which takes g^R, and what arrives lies as states do.
    spread = gradient.new_empty(len(gradient), 5 * n)
    spread[:, :n] = gradient[:, :n]
    spread[:, n : 2 * n] = 0.0
    spread[:, 2 * n :] = gradient[:, n:]
    space, transposed = Space(states), weight.T
    for rows in blocks(n_pairs, ways * 5 * n):
        size = rows.stop - rows.start
        filters = torch.mm(expansion[rows], transposed, out=space("filters", size, weight.shape[0]))
        senders = source[:, rows].reshape(-1)
        sent = torch.index_select(states, 0, senders, out=space("sent", ways * size, width)).view(ways, size, width)
        arriving = space("arriving", ways * size, 5 * n)
        torch.index_select(spread, 0, target[:, rows].reshape(-1), out=arriving)
        arriving = arriving.view(ways, size, 5 * n)
        vector, unit = arriving[..., 2 * n :].view(ways, size, 3, n), directions[:, rows, :, None].unbind(2)
        _, along, *components = arriving.split(n, 2)
        torch.mul(components[0], unit[0], out=along)
        for x in (1, 2):
            along.addcmul_(components[x], unit[x])
        if d_directions is not None:
            radial = torch.mul(sent[..., n : 2 * n], filters[:, n : 2 * n], out=space("radial", ways, size, n))
            products = torch.mul(vector, radial[:, :, None], out=space("products", ways, size, 3, n))
            torch.sum(products, -1, out=d_directions[:, rows])
        if d_expansion is not None or d_weight is not None:
            # The senders' states have been used: their place takes the products, summed over ways and components.
            products = sent.mul_(arriving[..., :width])
            d_filters = products[0] if ways == 1 else torch.add(products[0], products[1], out=products[0])
            if width > 2 * n:
                _, _, x, y, z = d_filters.split(n, 1)
                x.add_(y).add_(z)
                d_filters = d_filters[:, : 3 * n]
            if d_weight is not None:
                d_weight.addmm_(d_filters.T, expansion[rows])
            if d_expansion is not None:
                torch.mm(d_filters, weight, out=d_expansion[rows])
        if d_states is not None:
            arriving[..., : 2 * n].mul_(filters[:, : 2 * n])
            if width > 2 * n:
                vector.mul_(filters[:, None, 2 * n :])
            d_states.index_add_(0, senders, arriving[..., :width].reshape(ways * size, width))
    return d_expansion, d_weight, d_directions, d_states
