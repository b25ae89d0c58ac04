"""How the prediction is spread over the atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from atomlens.chain import Chain, RecordedSums


class AtomShares(NamedTuple):
    """Per-atom shares of the prediction without its constant; each array sums to it. All of shape (N,).

    Attributes
    ----------
    readout
        By the atom where walks end: the atomic contributions that the model itself sums up.
    start
        By the atom where walks start: what the element and first biases of an atom bring in.
    passage
        By the atoms that walks pass: each walk's relevance in equal parts over its steps.

    A long-range energy of two atoms is theirs in equal parts, in all three.
    """

    readout: Float[np.ndarray, " N"]
    start: Float[np.ndarray, " N"]
    passage: Float[np.ndarray, " N"]


def atom_shares(chain: Chain | RecordedSums) -> AtomShares:
    r"""Shares of every atom, by one backward and one forward pass.

    ``readout`` is r_i·x[T]_i + ρ_i, ``start`` is Σ_t u[t]_i·b[t]_i with u[t] the derivative of the prediction by the
    state, and ``passage`` is Σ_t u[t]_i·z[t]_i: walks that enter at layer t have T - t + 1 steps to divide by, so z is
    the chain's state with x[0] / (T + 1) for its embedding and b[t-1] / (T - t + 1) for its biases.
    """
    if isinstance(chain, RecordedSums):
        return _recorded_shares(chain)
    derivatives = [chain.readout]
    for t in reversed(range(chain.n_layers)):
        derivatives.append(chain.step_back(t, derivatives[-1]))
    derivatives.reverse()

    start = chain.readout_bias + (derivatives[0] * chain.embedding).sum(1)
    passage = chain.readout_bias + (derivatives[0] * chain.embedding).sum(1) / (chain.n_layers + 1)
    # The state, and z, side by side.
    both = torch.stack([chain.embedding, chain.embedding / (chain.n_layers + 1)], dim=1)
    for t, layer in enumerate(chain.layers):
        start += (derivatives[t + 1] * layer.bias).sum(1)
        both = chain.step(t, both) + torch.stack([layer.bias, layer.bias / (chain.n_layers - t)], dim=1)
        passage += (derivatives[t + 1] * both[:, 1]).sum(1)
    readout = (chain.readout * both[:, 0]).sum(1) + chain.readout_bias
    if chain.long_range is not None:
        halves = (0.5 * chain.long_range.energies)[:, None].expand(-1, 2).flatten()
        of_pairs = torch.zeros_like(readout).index_add_(0, chain.long_range.atoms.flatten(), halves)
        readout, start, passage = (share + of_pairs for share in (readout, start, passage))
    return AtomShares(readout.cpu().numpy(), start.cpu().numpy(), passage.cpu().numpy())


def _recorded_shares(sums: RecordedSums) -> AtomShares:
    """The same from a recording, where states of edges (if it has such) count for their two atoms in equal parts."""
    layers, steps = sums.layers, sums.n_layers
    derivatives = [layers.readout]
    for t in reversed(range(steps)):
        derivatives.append(layers.step_back(t, derivatives[-1]))
    derivatives.reverse()
    with torch.no_grad():
        state = divided = layers.state(0)
        start = layers.per_atom(derivatives[0], state)
        divided = {n: x / (steps + 1) for n, x in state.items()}
        passage = layers.per_atom(derivatives[0], divided)
        for t in range(steps):
            bias = layers.biases[t + 1]
            state = {n: x + bias[n] for n, x in layers.step(t, state).items()}
            start += layers.per_atom(derivatives[t + 1], bias)
            divided = {n: x + bias[n] / (steps - t) for n, x in layers.step(t, divided).items()}
            passage += layers.per_atom(derivatives[t + 1], divided)
        readout = layers.per_atom(layers.readout, state)
    return AtomShares(*((share * sums.factor).cpu().numpy() for share in (readout, start, passage)))
