"""Numbers that a trajectory is summed up by: energy drift, and the distribution of distances."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

# As in arXiv:2210.07237: 500 bins up to 10 Å.
N_BINS, LONGEST = 500, 10.0


def energy_drift(times: Float[np.ndarray, " K"], energies: Float[np.ndarray, " K"], n_atoms: int) -> float:
    """Slope of the total energy in meV/atom/ps by least squares; NaN for fewer than three frames.

    Parameters
    ----------
    times
        In ps.
    energies
        Potential plus kinetic energy in eV.
    n_atoms
        Number of atoms.
    """
    if len(times) < 3 or not np.isfinite(energies).all():
        return math.nan
    t = times - times.mean()
    return float(1000.0 * (t @ (energies - energies.mean())) / (t @ t) / n_atoms)


def distance_distribution(positions: Float[np.ndarray, "K N 3"]) -> Float[np.ndarray, " bins"]:
    r"""h(r): density of all interatomic distances over frames, 1/Å, in 500 bins up to 10 Å (arXiv:2210.07237).

    .. math:: h(r) = \frac{1}{K N (N - 1)} \sum_k \sum_{i \ne j} \delta(r - r_{ij}^{(k)})
    """
    first, second = np.triu_indices(positions.shape[1], 1)
    distances = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
    counts = np.histogram(distances, bins=N_BINS, range=(0.0, LONGEST))[0]
    return counts / max(distances.size, 1) / (LONGEST / N_BINS)


def distribution_error(found: Float[np.ndarray, " bins"], reference: Float[np.ndarray, " bins"]) -> float:
    r"""Integrated absolute difference :math:`\int |h(r) - h_{ref}(r)| dr` of two distributions: 0 equal, 2 apart."""
    return float(np.abs(found - reference).sum() * (LONGEST / N_BINS))
