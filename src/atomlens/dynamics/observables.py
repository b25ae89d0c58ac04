"""Drift of the energy that a trajectory should conserve."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float


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
