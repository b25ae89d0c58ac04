r"""D4 dispersion energies, pair by pair, by dftd4.

.. math:: E = -\sum_{A<B} \sum_{n=6,8} s_n \frac{C_n^{AB}}{R_{AB}^n + f(R_0^{AB})^n} + E_\text{ATM}

Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019), doi:10.1063/1.5090222.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.units import Bohr, Hartree
from jaxtyping import Float

from atomlens.reference.unavailable import ReferenceUnavailable
from atomlens.reference.xtb import electrons
from atomlens.structures import install_command

# Of pairs, triples and coordination numbers, in bohr. dftd4 itself drops pairs past 60 bohr, which no law does.
_CUTOFFS = (1e4, 40.0, 30.0)


@dataclass(frozen=True)
class Dispersion:
    """D4 of one molecule.

    Attributes
    ----------
    pair_energies
        Energy of every pair in eV, symmetric with zero diagonal, shape (N, N): the sum over i < j and
        `three_body_energy` are `energy`.
    three_body_energy
        Axilrod-Teller-Muto energy in eV.
    energy
        Dispersion energy in eV.
    c6
        C6 coefficients in eV Å^6, shape (N, N).
    polarizabilities
        Static dipole polarizabilities of the atoms in Å^3, shape (N,).
    """

    pair_energies: Float[np.ndarray, "N N"]
    three_body_energy: float
    energy: float
    c6: Float[np.ndarray, "N N"]
    polarizabilities: Float[np.ndarray, " N"]


def d4_dispersion(atoms: ase.Atoms, functional: str = "pbe", charge: int | None = None) -> Dispersion:
    """D4 dispersion of a molecule.

    Parameters
    ----------
    atoms
        A molecule without periodic directions.
    functional
        Whose damping parameters: they say how much dispersion a functional lacks at short range, and scale the R^-8
        term. C6, polarizabilities and the far limit do not depend on them. PBE by default, the functional of the rMD17
        sets; B3LYP gives two waters 1.4 times its energy at 3.9 Å, 1.2 times at 4.9 Å.
    charge
        Total charge in e; ``atoms.info["charge"]`` if None, and 0 where that is not set.

    Raises
    ------
    ReferenceUnavailable
        If dftd4 is not installed, does not know an element or the functional, or the structure is periodic.
    """
    interface = _dftd4()
    if atoms.pbc.any():
        raise ReferenceUnavailable("the structure is periodic; the D4 reference is for molecules")
    charge, _ = electrons(atoms, charge, 0)
    try:
        model = interface.DispersionModel(atoms.numbers, atoms.positions / Bohr, charge=float(charge))
        model.set_realspace_cutoff(*_CUTOFFS)
        damping = interface.DampingParam(method=functional)
        pairs = model.get_pairwise_dispersion(damping)
        properties = model.get_properties()
        energy = float(model.get_dispersion(damping, grad=False)["energy"])
    except (RuntimeError, ValueError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ReferenceUnavailable(f"D4 failed ({reason})") from error
    return Dispersion(
        # dftd4 gives either atom of a pair one half of its energy.
        pair_energies=2.0 * pairs["additive pairwise energy"] * Hartree,
        three_body_energy=float(pairs["non-additive pairwise energy"].sum()) * Hartree,
        energy=energy * Hartree,
        c6=properties["c6 coefficients"] * (Hartree * Bohr**6),
        polarizabilities=properties["polarizabilities"] * Bohr**3,
    )


def _dftd4() -> Any:
    try:
        import dftd4.interface
    except ModuleNotFoundError as error:
        raise ReferenceUnavailable(
            f"D4 dispersion comes with the package dftd4; run: {install_command('reference')}"
        ) from error
    return dftd4.interface
