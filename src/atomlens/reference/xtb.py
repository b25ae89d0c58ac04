r"""GFN2-xTB by tblite: energies, forces, charges, bond orders, orbitals.

Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019), doi:10.1021/acs.jctc.8b01176. A semiempirical
method, fitted to geometries, frequencies and non-covalent interactions of all elements up to radon: an independent
witness, not the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import ase
import numpy as np
from ase.units import Bohr, Hartree, kB
from jaxtyping import Float
from rdkit import Chem

from atomlens.reference.orbitals import Orbitals
from atomlens.reference.unavailable import ReferenceUnavailable
from atomlens.structures import InputError, install_command, is_whole, stated_charge, unpaired_electrons

_HIGHEST = 86


@dataclass(frozen=True)
class XtbResult:
    """One GFN2-xTB calculation.

    Attributes
    ----------
    energy
        Total energy in eV (of the valence electrons: about -138 eV for water).
    forces
        In eV/Å, shape (N, 3).
    charges
        Mulliken charges in e, shape (N,).
    bond_orders
        Wiberg bond orders (Mayer's form in the non-orthogonal basis), symmetric with zero diagonal, shape (N, N).
    dipole
        Dipole moment in e·Å, shape (3,); depends on the origin where the charge is not zero.
    orbitals
        Orbital energies and the HOMO; None where they were not asked for.
    """

    energy: float
    forces: Float[np.ndarray, "N 3"]
    charges: Float[np.ndarray, " N"]
    bond_orders: Float[np.ndarray, "N N"]
    dipole: Float[np.ndarray, " 3"]
    orbitals: Orbitals | None


class Gfn2:
    """GFN2-xTB of one molecule, for one geometry after the other; each starts from the density of the last.

    Parameters
    ----------
    atoms
        A molecule without periodic directions.
    charge
        Total charge in e; ``atoms.info["charge"]`` if None, and 0 where that is not set.
    uhf
        Number of unpaired electrons; those of the structure if None (`unpaired_electrons`), and 0 where it does not
        say. Spin enters occupations alone (GFN2 has no spin-dependent energy), and these are
        smeared at 300 K.
    accuracy
        Of the self-consistent cycle, smaller is tighter; 1 is tblite's own.
    orbitals
        Whether results hold orbitals.

    Raises
    ------
    ReferenceUnavailable
        If tblite is not installed, or GFN2 is not defined for the structure: periodic, an element above radon, an
        electron count that does not go with `uhf`.
    """

    def __init__(
        self,
        atoms: ase.Atoms,
        charge: int | None = None,
        uhf: int | None = None,
        *,
        accuracy: float = 1.0,
        orbitals: bool = False,
    ) -> None:
        interface = _tblite()
        self.charge, self.uhf = electrons(atoms, charge, uhf)
        _check(atoms, self.charge, self.uhf)
        self._orbitals = orbitals
        self._last: Any = None
        try:
            self._calculator = interface.Calculator(
                "GFN2-xTB", atoms.numbers, atoms.positions / Bohr, float(self.charge), self.uhf
            )
            self._calculator.set("verbosity", 0)
            self._calculator.set("accuracy", accuracy)
            self._calculator.set("temperature", 300.0 * kB / Hartree)
            self._calculator.set("save-integrals", int(orbitals))
        except (RuntimeError, ValueError) as error:
            raise ReferenceUnavailable(f"GFN2-xTB refuses this molecule ({_reason(error)})") from error

    def compute(self, positions: Float[np.ndarray, "N 3"]) -> XtbResult:
        """Calculate one geometry, positions in Å.

        Raises
        ------
        ReferenceUnavailable
            If it does not converge, or tblite refuses the geometry.
        """
        try:
            with _one_tblite_thread():
                self._calculator.update(positions=positions / Bohr)
                self._last = self._calculator.singlepoint(self._last)
        except (RuntimeError, ValueError) as error:
            self._last = None
            raise ReferenceUnavailable(f"GFN2-xTB failed ({_reason(error)})") from error
        result, n = self._last, len(positions)
        return XtbResult(
            energy=float(result.get("energy")) * Hartree,
            forces=-np.array(result.get("gradient")) * (Hartree / Bohr),
            charges=np.array(result.get("charges")),
            bond_orders=np.array(result.get("bond-orders")).reshape(n, n, -1).sum(-1),
            dipole=np.array(result.get("dipole")) * Bohr,
            orbitals=self._read_orbitals() if self._orbitals else None,
        )

    def _read_orbitals(self) -> Orbitals:
        calculator, result = self._calculator, self._last
        return Orbitals(
            energies=np.array(result.get("orbital-energies")) * Hartree,
            occupations=np.array(result.get("orbital-occupations")),
            coefficients=np.array(result.get("orbital-coefficients")),
            overlap=np.array(result.get("overlap-matrix")),
            atom=np.array(calculator.get("shell-map"))[np.array(calculator.get("orbital-map"))].astype(np.int64),
        )


def gfn2(atoms: ase.Atoms, charge: int | None = None, uhf: int | None = None) -> XtbResult:
    """GFN2-xTB single point of a molecule, with orbitals; parameters and errors as of `Gfn2`.

    Examples
    --------
    >>> import ase.build
    >>> ethyne = gfn2(ase.build.molecule("C2H2"))
    >>> round(float(ethyne.bond_orders[0, 1]), 1)
    3.0
    """
    return Gfn2(atoms, charge, uhf, orbitals=True).compute(atoms.positions)


def gfn2_bond_orders(atoms: ase.Atoms) -> Float[np.ndarray, "N N"]:
    """Wiberg bond orders of a molecule by GFN2-xTB, shape (N, N); errors as of `Gfn2`."""
    return Gfn2(atoms).compute(atoms.positions).bond_orders


def gfn2_energy(atoms: ase.Atoms) -> float:
    """Total GFN2-xTB energy in eV; errors as of `Gfn2`."""
    return Gfn2(atoms).compute(atoms.positions).energy


def electrons(atoms: ase.Atoms, charge: int | None, uhf: int | None) -> tuple[int, int]:
    """Charge and unpaired electrons: what is asked for, else what the structure comes with, else 0.

    Raises
    ------
    ReferenceUnavailable
        If what the structure comes with is no whole number.
    """
    for name, value in (("charge", charge), ("uhf", uhf)):
        if value is not None and not is_whole(value):
            raise ReferenceUnavailable(f"{name} is {value!r}; give a whole number")
    try:
        found = (
            stated_charge(atoms) if charge is None else charge,
            unpaired_electrons(atoms) if uhf is None else uhf,
        )
    except InputError as error:
        raise ReferenceUnavailable(f"charge and spin of the structure count, and {error}") from error
    return int(found[0] or 0), int(found[1] or 0)


@contextmanager
def _one_tblite_thread() -> Iterator[None]:
    """Hold tblite to one thread: 22 atoms on a busy machine take 7 ms so, 200 ms with two that wait for each other."""
    with _threads().limit(limits=1):
        yield


def _check(atoms: ase.Atoms, charge: int, uhf: int) -> None:
    if atoms.pbc.any():
        raise ReferenceUnavailable("the structure is periodic; the GFN2-xTB reference is for molecules")
    if len(atoms) == 0:
        raise ReferenceUnavailable("the structure has no atoms")
    if atoms.numbers.max() > _HIGHEST or atoms.numbers.min() < 1:
        k = int(np.flatnonzero((atoms.numbers > _HIGHEST) | (atoms.numbers < 1))[0])
        raise ReferenceUnavailable(f"GFN2-xTB has no parameters for {atoms.symbols[k]} (atom {k}); it ends at Rn")
    valence = sum(Chem.GetPeriodicTable().GetNOuterElecs(int(z)) for z in atoms.numbers)
    if charge > valence or (charge == valence and len(atoms) > 1):
        raise ReferenceUnavailable(f"a total charge of {charge:+d} e leaves none of the {valence} valence electrons")
    if not 0 <= uhf <= valence - charge:
        raise ReferenceUnavailable(f"{valence - charge} valence electrons cannot have {uhf} unpaired ones among them")
    # Z alone decides between odd and even: core electrons come in pairs, those of 4f shells apart.
    total = int(atoms.numbers.sum()) - charge
    lanthanides = bool(((atoms.numbers > 57) & (atoms.numbers < 72)).any())
    if not lanthanides and (total - uhf) % 2:
        raise ReferenceUnavailable(
            f"{total} electrons do not go with {uhf} unpaired ones; give uhf=1 for a radical, charge=1 for an "
            "ion: in the comment line of an extended xyz file, or in atoms.info in Python"
        )


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@cache
def _tblite() -> Any:
    try:
        import tblite.interface
    except ModuleNotFoundError as error:
        raise ReferenceUnavailable(f"GFN2-xTB comes with the package tblite; run: {install_command('xtb')}") from error
    return tblite.interface


@cache
def _threads() -> Any:
    _tblite()  # threads can be limited once their library is loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
