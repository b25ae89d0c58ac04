r"""PaiNN forwards and back, with derivatives by distances and directions and nothing else.

What vanishes is left out: vectors before the first layer, vectors after the last (a scalar readout never sees them),
and derivatives by the first layer's states, which are elements and do not move.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.models.fast.messages import message_gradients, message_sums
from atomlens.models.fast.pairs import PairFeatures
from atomlens.models.fast.reverse import PairGradients, Readout, network
from atomlens.models.painn import PaiNN, PaiNNInteraction, PaiNNMixing

# Derivatives by (q, μ) to derivatives by (q, μ); μ is None where it plays no part.
_Pull = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]


def painn_pass(
    model: PaiNN, numbers: Int[Tensor, " N"], pairs: PairFeatures, readout: Readout
) -> tuple[Tensor, PairGradients]:
    """Run a model, read it out, and come back.

    Parameters
    ----------
    readout
        Takes the atoms' scalars (N, F) to an output and to the derivative of E by the scalars.

    Returns
    -------
    Tensor, PairGradients
        The readout's output, and the derivatives of E by the geometry of the pairs.
    """
    messages = _Messages(model, pairs)
    q, mu = model.embedding.weight.index_select(0, numbers), None
    back: list[_Pull] = []
    last = len(model.interactions) - 1
    for t, (interaction, mixing) in enumerate(zip(model.interactions, model.mixings, strict=True)):
        q, mu, pull = _interact(interaction, q, mu, messages, t)
        back.append(pull)
        q, mu, pull = _mix(mixing, q, mu, needs_vectors=t < last)
        back.append(pull)
    y, dq = readout(q)
    dmu = None
    for pull in reversed(back):
        dq, dmu = pull(dq, dmu)
    return y, messages.gradients()


class _Messages:
    """Sums over neighbours, layer by layer; derivatives by the pairs add up over the layers."""

    def __init__(self, model: PaiNN, pairs: PairFeatures) -> None:
        self.pairs, self.expansion = pairs, pairs.expansion()
        self.d_expansion, self.d_directions = torch.zeros_like(self.expansion), torch.zeros_like(pairs.directions)
        net, width = model.filter_net, 3 * model.config.n_features
        self.weights = torch.cat([net.weight, net.bias[:, None]], dim=1).split(width)

    def __call__(self, states: Float[Tensor, "N S"], layer: int) -> tuple[Tensor, Callable[[Tensor], Tensor | None]]:
        weight = self.weights[layer if len(self.weights) > 1 else 0]
        first = layer == 0
        if first:
            weight = weight[: states.shape[1]]
        pairs = self.pairs
        inputs = (self.expansion, weight, pairs.directions, states, pairs.target, pairs.source)

        def pull(gradient: Tensor) -> Tensor | None:
            needed = (True, False, True, not first)
            d_expansion, _, d_directions, d_states = message_gradients(*inputs, gradient, needed)
            assert d_expansion is not None
            assert d_directions is not None
            self.d_expansion += d_expansion
            self.d_directions += d_directions
            return d_states

        return message_sums(*inputs), pull

    def gradients(self) -> PairGradients:
        # The expansion is [f_c e, f_c].
        n = self.pairs.radial.shape[1]
        d_products = self.d_expansion[:, :n]
        d_envelope = (d_products * self.pairs.radial).sum(1).add_(self.d_expansion[:, n])
        return PairGradients(d_products * self.pairs.envelope[:, None], d_envelope, self.d_directions)


def _interact(
    interaction: PaiNNInteraction, q: Tensor, mu: Tensor | None, messages: _Messages, layer: int
) -> tuple[Tensor, Tensor, _Pull]:
    r"""One interaction; see `PaiNNInteraction.between_pairs` for the states :math:`[c^s, c^R, c^v \odot \mu]`.

    Its way back, with :math:`g^v` the derivative by the states' vectors, is :math:`g_{c^v} = \sum_x g^v_x \mu_x` and
    :math:`g_\mu \leftarrow g_\mu + c^v \odot g^v`.
    """
    atoms, n = q.shape
    c, pull_context = network((interaction.context_in, interaction.context_out), interaction.activation, q)
    if mu is None:
        states = c[:, : 2 * n].contiguous()
    else:
        states = q.new_empty(atoms, 5 * n)
        states[:, : 2 * n] = c[:, : 2 * n]
        torch.mul(c[:, None, 2 * n :], mu, out=states[:, 2 * n :].view(atoms, 3, n))
    received, pull_messages = messages(states, layer)
    dq, dmu = received[:, :n], received[:, n:].view(atoms, 3, n)

    def pull(g_q: Tensor, g_mu: Tensor | None) -> tuple[Tensor, Tensor | None]:
        assert g_mu is not None  # mixings use the vectors of every layer
        d_states = pull_messages(torch.cat([g_q, g_mu.flatten(1)], dim=1))
        if mu is None or d_states is None:
            return g_q, None
        d_vectors, d_context = d_states[:, 2 * n :].view(atoms, 3, n), q.new_empty(atoms, 3 * n)
        d_context[:, : 2 * n] = d_states[:, : 2 * n]
        torch.sum(d_vectors * mu, 1, out=d_context[:, 2 * n :])
        return g_q + pull_context(d_context), torch.addcmul(g_mu, d_vectors, c[:, None, 2 * n :])

    return q + dq, dmu if mu is None else mu + dmu, pull


def _mix(mixing: PaiNNMixing, q: Tensor, mu: Tensor, *, needs_vectors: bool) -> tuple[Tensor, Tensor | None, _Pull]:
    r"""One mixing; see `PaiNNMixing`.

    Its way back, with :math:`g_q, g_\mu` the derivatives by its outputs and :math:`[g_{in}, g_n]` what comes back
    through the network on [q, n]:

    .. math:: g_a = g_q, \quad g_b = \sum_x g_{\mu,x} W_x, \quad g_e = g_q \odot \langle V, W \rangle, \qquad
        g_V = g_n \odot V / n + g_q \odot e \odot W, \quad g_W = g_q \odot e \odot V + g_\mu \odot b
    """
    atoms, n = q.shape
    mix = mixing.vector_mix.weight
    mixed = torch.mm(mu.reshape(3 * atoms, n), mix.T).view(atoms, 3, 2, n)
    v, w = mixed[:, :, 0], mixed[:, :, 1]
    products = torch.sum(mixed * mixed[:, :, :1], 1)
    inputs = q.new_empty(atoms, 2 * n)
    inputs[:, :n] = q
    norm = torch.sqrt(products[:, 0].add_(mixing.epsilon), out=inputs[:, n:])
    overlap = products[:, 1]
    context, pull_context = network((mixing.context_in, mixing.context_out), mixing.activation, inputs)
    a, b, e = context.split(n, dim=1)

    def pull(g_q: Tensor, g_mu: Tensor | None) -> tuple[Tensor, Tensor]:
        d_context = q.new_empty(atoms, 3 * n)
        d_context[:, :n] = g_q
        if g_mu is None:
            d_context[:, n : 2 * n] = 0.0
        else:
            torch.sum(g_mu * w, 1, out=d_context[:, n : 2 * n])
        torch.mul(g_q, overlap, out=d_context[:, 2 * n :])
        d_inputs = pull_context(d_context)
        along, across = (d_inputs[:, n:] / norm)[:, None], (g_q * e)[:, None]
        d_mixed = torch.empty_like(mixed)
        torch.mul(w, across, out=d_mixed[:, :, 0]).addcmul_(v, along)
        d_w = torch.mul(v, across, out=d_mixed[:, :, 1])
        if g_mu is not None:
            d_w.addcmul_(g_mu, b[:, None])
        d_mu = torch.mm(d_mixed.view(3 * atoms, 2 * n), mix).view(atoms, 3, n)
        return g_q + d_inputs[:, :n], d_mu if g_mu is None else d_mu.add_(g_mu)

    return torch.addcmul(q, e, overlap).add_(a), torch.addcmul(mu, b[:, None], w) if needs_vectors else None, pull
