r"""Do forces belong to the energy? Differences of energies against forces, at a few structures.

.. math:: F_{ka} = -\frac{\partial E}{\partial r_{ka}} \approx -R(h), \qquad R(h) = \frac{4 D(h) - D(2h)}{3}, \qquad
    D(h) = \frac{E(r_{ka} + h) - E(r_{ka} - h)}{2h}

with an error below :math:`|R(h) - R(2h)|`, which shows the rounding of energies, too. Models that predict
forces on their own, and calculators with errors, have forces that are no gradient: energy is not conserved with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ase
import numpy as np

from atomlens.potentials import AnyPotential, scan
from atomlens.surveys import evenly_spread

_STEP = 0.005
# Energies are asked for at these multiples of the step.
_MULTIPLES = (1, -1, 2, -2, 4, -4)
# Forces are off where they differ by this many times the error of the differences, and by more than this (eV/Å).
_TIMES, _LEAST = 5.0, 1e-3
_MAX_ATOMS = 200


@dataclass(frozen=True)
class ForceCheck:
    """Forces against differences of energies.

    Attributes
    ----------
    largest, mean
        Difference in eV/Å: the largest, and the mean of absolute values.
    error
        How far the differences of energies may be off themselves, in eV/Å.
    n_structures, n_components
        How many structures and components of forces were looked at.
    """

    largest: float
    mean: float
    error: float
    n_structures: int
    n_components: int

    @property
    def consistent(self) -> bool:
        """Whether forces are the gradient of the energy, as far as differences can tell."""
        return not self.largest > max(_TIMES * self.error, _LEAST)

    def __str__(self) -> str:
        where = f"{self.n_components} components of {self.n_structures} structures"
        if not self.n_components:
            return "forces could not be compared with energies: the calculator failed at every structure that was tried"
        if self.consistent:
            return f"forces match energies to {self.largest:.1e} eV/Å ({where})"
        return (
            f"forces do not match energies: they differ by up to {self.largest:.2g} eV/Å, {self.mean:.2g} eV/Å in the "
            f"mean ({where}); simulations with them do not conserve energy"
        )


def check_forces(
    potential: AnyPotential, structures: Sequence[ase.Atoms], seed: int = 0, *, n_structures: int = 3, n_each: int = 6
) -> ForceCheck:
    """Compare some components of forces with differences of energies.

    Parameters
    ----------
    potential
        Energies and forces.
    structures
        Some of them are looked at, evenly spread.
    seed
        Of the components.
    n_structures, n_each
        How many structures, and components of each.
    """
    rng = np.random.default_rng(seed)
    small = [atoms for atoms in structures if len(atoms) <= _MAX_ATOMS] or list(structures[:1])
    off, errors, used = [], [], 0
    for k in evenly_spread(len(small), n_structures):
        atoms = small[k]
        chosen = rng.permutation(3 * len(atoms))[:n_each]
        places = [atoms.positions]
        for component in chosen.tolist():
            shift = np.zeros((len(atoms), 3))
            shift[divmod(component, 3)] = _STEP
            places += [atoms.positions + times * shift for times in _MULTIPLES]
        found = scan(potential, atoms, np.stack(places))
        e = found.energies[1:].reshape(-1, len(_MULTIPLES))
        slopes = [(e[:, k] - e[:, k + 1]) / (2 * _MULTIPLES[k] * _STEP) for k in (0, 2, 4)]
        near, far = (4 * slopes[0] - slopes[1]) / 3, (4 * slopes[1] - slopes[2]) / 3
        gap = np.abs(found.forces[0].reshape(-1)[chosen] + near)
        known = np.isfinite(gap)
        off += gap[known].tolist()
        errors += np.abs(near - far)[known].tolist()
        used += bool(known.any())
    if not off:
        return ForceCheck(0.0, 0.0, 0.0, 0, 0)
    return ForceCheck(max(off), float(np.mean(off)), max(errors), used, len(off))
