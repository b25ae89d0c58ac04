"""How the prediction is spread over the atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atomlens.chain import Chain


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
    """

    readout: Float[np.ndarray, " N"]
    start: Float[np.ndarray, " N"]
    passage: Float[np.ndarray, " N"]


def atom_shares(chain: Chain) -> AtomShares:
    r"""Shares of every atom, by one forward and one backward pass an entry layer.

    ``readout`` is r_i·x[T]_i + ρ_i, ``start`` is Σ_t u[t]_i·b[t]_i with u[t] the derivative of the prediction by the
    state, and ``passage`` is the mean over the steps of u[t]_i·x[t]_i for the walks of each entry layer.
    """
    derivatives = [chain.readout]
    for t in reversed(range(chain.n_layers)):
        derivatives.append(chain.step_back(t, derivatives[-1]))
    derivatives.reverse()

    readout = (chain.readout * chain.states()[-1]).sum(1) + chain.readout_bias
    start = chain.readout_bias.clone()
    passage = chain.readout_bias.clone()
    for entry in range(chain.n_layers + 1):
        entering = chain.embedding if entry == 0 else chain.layers[entry - 1].bias
        start += (derivatives[entry] * entering).sum(1)
        x, steps = entering, chain.n_layers - entry + 1
        for t in range(entry, chain.n_layers + 1):
            passage += (derivatives[t] * x).sum(1) / steps
            if t < chain.n_layers:
                x = chain.step(t, x)
    return AtomShares(readout.cpu().numpy(), start.cpu().numpy(), passage.cpu().numpy())
