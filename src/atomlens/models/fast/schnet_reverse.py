"""SchNet forwards and back, with derivatives by distances and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from atomlens.models.fast.convolution import convolution_gradients, convolution_sums
from atomlens.models.fast.pairs import PairFeatures
from atomlens.models.fast.reverse import PairGradients, Readout, network
from atomlens.models.schnet import SchNet, SchNetLayer


def schnet_pass(
    model: SchNet, numbers: Int[Tensor, " N"], pairs: PairFeatures, readout: Readout
) -> tuple[Tensor, PairGradients]:
    """Run a model, read it out, and come back; as `painn_pass`, which needs directions too."""
    x = model.embedding.weight.index_select(0, numbers)
    d_radial, d_envelope = torch.zeros_like(pairs.radial), torch.zeros_like(pairs.envelope)
    back = []
    for t, layer in enumerate(model.layers):
        x, pull = _interact(layer, x, pairs, needs_states=t > 0)
        back.append(pull)
    y, gradient = readout(x)
    for pull in reversed(back):
        gradient, by_radial, by_envelope = pull(gradient)
        d_radial += by_radial
        d_envelope += by_envelope
    return y, PairGradients(d_radial, d_envelope, None)


def _interact(
    layer: SchNetLayer, x: Tensor, pairs: PairFeatures, *, needs_states: bool
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]]:
    r"""One block; see `SchNetLayer`.

    With :math:`u = V_2\, a(V_1 e + c_1) + c_2` its filter is :math:`f_c u`, and a derivative g by the filter is
    :math:`\sum_k g_k u_k` by the cutoff function and :math:`f_c\, g` by u.
    """
    raw, pull_filters = network((layer.filter_in, layer.filter_out), layer.activation, pairs.radial)
    envelope = pairs.envelope[:, None]
    filters = raw * envelope
    sent = torch.mm(x, layer.source.weight.T)
    gathered = convolution_sums(filters, sent, pairs.target, pairs.source)
    update, pull_update = network((layer.update_in, layer.update_out), layer.activation, gathered)

    def pull(gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d_filters, d_sent = convolution_gradients(
            filters, sent, pairs.target, pairs.source, pull_update(gradient), (True, needs_states)
        )
        assert d_filters is not None
        by_envelope = (d_filters * raw).sum(1)
        by_radial = pull_filters(d_filters.mul_(envelope))
        if d_sent is not None:
            gradient = torch.addmm(gradient, d_sent, layer.source.weight)
        return gradient, by_radial, by_envelope

    return update.add_(x), pull
