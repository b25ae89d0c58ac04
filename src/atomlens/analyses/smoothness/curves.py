r"""What one curve along a path says: how it departs from a reference, and which minima it has.

Force smoothness deviation (arXiv:2602.04861), with :math:`\Delta F(\alpha) = F(\alpha) - F(\alpha_0)` over all atoms
and :math:`\alpha_0` the length of lowest reference energy:

.. math:: \mathrm{FSD} = \max_\alpha \Big| \frac{d}{d\alpha}
    \ln \frac{\lVert \Delta F_\text{model} \rVert^2}{\lVert \Delta F_\text{reference} \rVert^2} \Big|

A constant factor between both costs nothing; a kink, a force that vanishes where it should not, or a wall that ends
does.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.signal import find_peaks

# A valley shallower than this is no minimum, in eV.
DEPTH = 0.1
# Minima of model and reference that lie nearer than this are one, in Å.
SAME = 0.3
_FEWEST = 8


def log_ratio(
    forces: Float[np.ndarray, "S N 3"], reference: Float[np.ndarray, "S N 3"], start: int
) -> Float[np.ndarray, " S"]:
    """Logarithm of the ratio of squared force changes from the point `start`; NaN there and where either is missing."""
    own, known = (np.square(f - f[start]).sum(axis=(1, 2)) for f in (forces, reference))
    ratio = np.full(len(own), np.nan)
    there = np.isfinite(own) & np.isfinite(known) & (known > 0)
    there[start] = False
    # A model without any force has an infinite deviation; the smallest number stands for zero.
    ratio[there] = np.log(np.maximum(own[there], np.finfo(float).tiny) / known[there])
    return ratio


def smoothness_deviation(lengths: Float[np.ndarray, " S"], ratio: Float[np.ndarray, " S"]) -> float:
    """FSD in 1/Å from `log_ratio` by central differences; NaN for fewer than eight points.

    Examples
    --------
    >>> x = np.linspace(1.0, 2.0, 50)
    >>> round(smoothness_deviation(x, 3.0 * x), 6)
    3.0
    """
    there = np.isfinite(ratio)
    if there.sum() < _FEWEST:
        return float("nan")
    return float(np.abs(np.gradient(ratio[there], lengths[there])).max())


def spring_ratio(
    lengths: Float[np.ndarray, " S"], reference: Float[np.ndarray, "S N 3"], start: int
) -> Float[np.ndarray, " S"]:
    """`log_ratio` of a harmonic spring, whose force changes as the length does: the plainest bond there is."""
    pull = np.zeros_like(reference)
    pull[:, 0, 0] = lengths - lengths[start]
    return log_ratio(pull, reference, start)


def minima(lengths: Float[np.ndarray, " S"], energies: Float[np.ndarray, " S"]) -> Float[np.ndarray, " M"]:
    """Lengths of all minima that are 0.1 eV deep or more; an end that the energy falls to counts, too.

    Examples
    --------
    >>> x = np.linspace(0.0, 2.0, 41)
    >>> minima(x, (x - 1.0) ** 2).round(2).tolist(), minima(x, -x).tolist()
    ([1.0], [2.0])
    """
    there = np.isfinite(energies)
    if there.sum() < _FEWEST:
        return np.zeros(0)
    x, y = lengths[there], energies[there]
    high = y.max() + 10.0 * DEPTH
    places = find_peaks(-np.concatenate([[high], y, [high]]), prominence=DEPTH)[0] - 1
    return x[places]


def spare_minima(
    lengths: Float[np.ndarray, " S"], energies: Float[np.ndarray, " S"], reference: Float[np.ndarray, " S"]
) -> int:
    """How many minima lie where the reference has none within 0.3 Å, over the lengths that both have."""
    both = np.isfinite(energies) & np.isfinite(reference)
    own, known = (minima(lengths[both], y[both]) for y in (energies, reference))
    if not len(known):
        return 0
    return int((np.abs(own[:, None] - known[None]).min(axis=1) > SAME).sum())
