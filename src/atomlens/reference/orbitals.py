"""Orbitals of a semiempirical calculation, and where the highest occupied one sits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

# Orbitals closer than this in eV count as one level: which of them is which, rounding decides.
_DEGENERATE = 0.01


@dataclass(frozen=True)
class Orbitals:
    r"""Molecular orbitals :math:`\psi_k = \sum_\mu C_{\mu k} \phi_\mu` over atomic ones.

    Attributes
    ----------
    energies
        In eV, ascending, shape (O,).
    occupations
        Electrons in every orbital, 0 to 2, shape (O,).
    coefficients
        C, columns are orbitals, shape (O, O); :math:`C^T S C = 1`.
    overlap
        S, shape (O, O).
    atom
        Atom that every atomic orbital belongs to, shape (O,).
    """

    energies: Float[np.ndarray, " O"]
    occupations: Float[np.ndarray, " O"]
    coefficients: Float[np.ndarray, "O O"]
    overlap: Float[np.ndarray, "O O"]
    atom: Int[np.ndarray, " O"]

    @property
    def homo(self) -> int | None:
        """Index of the highest orbital that holds more than half an electron; None without electrons."""
        occupied = np.flatnonzero(self.occupations > 0.5)
        return int(occupied[-1]) if len(occupied) else None

    @property
    def homo_energy(self) -> float | None:
        """Energy of the HOMO in eV; None without electrons."""
        return None if self.homo is None else float(self.energies[self.homo])

    def homo_population(self) -> Float[np.ndarray, " N"] | None:
        r"""Share of every atom in the HOMO, in sum 1; None without electrons.

        .. math:: p_A = \frac1g \sum_k \sum_{\mu \in A} C_{\mu k} (S C)_{\mu k}

        over the g orbitals within 0.01 eV of the HOMO (benzene: 2). Mulliken, J. Chem. Phys. 23, 1833 (1955). A share
        may be slightly negative.
        """
        if self.homo is None:
            return None
        level = np.abs(self.energies - self.energies[self.homo]) < _DEGENERATE
        level &= self.occupations > 0.5
        c = self.coefficients[:, level]
        shares = (c * (self.overlap @ c)).sum(axis=1) / level.sum()
        return np.bincount(self.atom, weights=shares, minlength=int(self.atom.max()) + 1)
