"""S66x8: 66 molecular dimers at eight distances, as the COMP6 benchmark stores them.

Řezáč, Riley, Hobza, J. Chem. Theory Comput. 7, 2427 (2011): geometries. COMP6 (Smith et al., J. Chem. Phys. 148, 241733
(2018)) gives energies and forces of the dimers by ωB97x/6-31G*; not those of the monomers, so curves are known up to a
constant each. Get the file from https://github.com/isayev/COMP6 (folder COMP6v1/s66x8; MIT licence).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.units import Hartree
from jaxtyping import Float, Int

from atomlens.reference.unavailable import ReferenceUnavailable
from atomlens.structures import InputError, fragments, install_command

# Distances between the monomers in units of the equilibrium one, in the order of the file.
FACTORS = (0.90, 0.95, 1.00, 1.05, 1.10, 1.25, 1.50, 2.00)


@dataclass(frozen=True)
class Dimer:
    """One dimer at one distance.

    Attributes
    ----------
    system
        Number of the dimer in S66, 1 to 66.
    name
        Formulas of the monomers.
    factor
        Distance in units of the equilibrium one.
    atoms
        Both monomers.
    monomers
        Atoms of each.
    energy
        Total energy in eV, ωB97x/6-31G*.
    forces
        In eV/Å, shape (N, 3).
    """

    system: int
    name: str
    factor: float
    atoms: ase.Atoms
    monomers: tuple[Int[np.ndarray, " A"], Int[np.ndarray, " B"]]
    energy: float
    forces: Float[np.ndarray, "N 3"]


def read_s66x8(path: str | Path) -> list[Dimer]:
    """All dimers, system by system, near to far.

    Raises
    ------
    ReferenceUnavailable
        If h5py is not installed.
    InputError
        If there is no such file, or it is not S66x8 as COMP6 stores it.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ReferenceUnavailable(f"S66x8 is read by h5py; run: {install_command('reference')}") from error
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; S66x8 is in COMP6, https://github.com/isayev/COMP6")
    try:
        with h5py.File(path, "r") as file:
            return [dimer for system, group in _groups(file) for dimer in _curve(system, group)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not S66x8 as COMP6 stores it ({reason})") from error


def _groups(file: Any) -> Iterator[tuple[int, Any]]:
    for name in sorted(file["s66x8"]):
        yield int(name.removeprefix("mol")) + 1, file["s66x8"][name]


def _curve(system: int, group: Any) -> Iterator[Dimer]:
    symbols = [symbol.decode() for symbol in group["species"][:]]
    positions, energies = group["coordinates"][:].astype(np.float64), group["energies"][:]
    # The file holds gradients under the name of forces, in Hartree/Å.
    forces = -group["forces"][:].astype(np.float64) * Hartree
    if len(positions) != len(FACTORS):
        raise InputError(f"dimer {system} has {len(positions)} distances; S66x8 has {len(FACTORS)}")
    # Far apart no hydrogen bond is taken for a covalent one.
    parts = fragments(ase.Atoms(symbols, positions[-1]))
    if len(parts) != 2:
        raise InputError(f"dimer {system} falls into {len(parts)} molecules, not two")
    first, second = (np.array(part) for part in parts)
    name = " ".join(str(ase.Atoms(np.array(symbols)[part]).symbols.get_chemical_formula()) for part in (first, second))
    for factor, x, energy, force in zip(FACTORS, positions, energies, forces, strict=True):
        atoms = ase.Atoms(symbols, x)
        yield Dimer(system, name, factor, atoms, (first, second), float(energy) * Hartree, force)
