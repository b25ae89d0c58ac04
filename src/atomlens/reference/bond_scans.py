"""Bonds stretched and compressed: the path of one bond, GFN2-xTB along it, and scans in files.

As in the bond smoothness characterization test (BSCT, arXiv:2602.04861): the bond runs from half to twice the sum of
the covalent radii of its atoms, both sides of the molecule stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float, Int

from atomlens.potentials import scan
from atomlens.reference.xtb_calculator import Gfn2Calculator
from atomlens.structures import InputError, perceive_bonds, side_of

SHORTEST, LONGEST = 0.5, 2.0
# A distance that changes by more than this between frames is across the scanned bond, in Å.
_CHANGES = 1e-2
_FEWEST = 10


@dataclass(frozen=True)
class BondScan:
    """One molecule with one bond at many lengths, and a reference's energies and forces.

    Attributes
    ----------
    name
        Elements of the bond and formula of the molecule.
    atoms
        The molecule; its positions are those that the scan was made from.
    bond
        The two atoms.
    lengths
        Of the bond in Å, increasing, shape (S,).
    positions
        In Å, shape (S, N, 3).
    energies
        Of the reference in eV, shape (S,); NaN where it has none.
    forces
        Of the reference in eV/Å, shape (S, N, 3).
    """

    name: str
    atoms: ase.Atoms
    bond: tuple[int, int]
    lengths: Float[np.ndarray, " S"]
    positions: Float[np.ndarray, "S N 3"]
    energies: Float[np.ndarray, " S"]
    forces: Float[np.ndarray, "S N 3"]

    @property
    def kind(self) -> str:
        """Elements of the bond."""
        return self.name.split()[0]


def open_bonds(atoms: ase.Atoms) -> list[tuple[int, int]]:
    """Bonds that are part of no ring: stretching one moves two sides apart.

    Examples
    --------
    >>> import ase.build
    >>> len(open_bonds(ase.build.molecule("C6H6"))), len(open_bonds(ase.build.molecule("CH3OH")))
    (6, 5)
    """
    pairs = perceive_bonds(atoms).pairs
    degree = np.bincount(pairs.ravel(), minlength=len(atoms))
    # In a ring an atom moves alone, though others hang on it; an end of a chain does so, too, with nothing on it.
    return [(i, j) for i, j in pairs.tolist() if len(side_of(atoms, pairs, i, j)) > 1 or 1 in (degree[i], degree[j])]


def bond_path(
    atoms: ase.Atoms, i: int, j: int, points: int
) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S N 3"]]:
    """Lengths in Å, from half to twice the sum of covalent radii, and the positions of all atoms at each."""
    radii = float(covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])
    lengths = np.linspace(SHORTEST * radii, LONGEST * radii, points)
    side = side_of(atoms, perceive_bonds(atoms).pairs, i, j)
    line = atoms.positions[j] - atoms.positions[i]
    now = float(np.linalg.norm(line))
    places = np.repeat(atoms.positions[None], points, axis=0)
    places[:, side] += (lengths - now)[:, None, None] * line / now
    return lengths, places


def gfn2_bond_scan(atoms: ase.Atoms, i: int, j: int, points: int) -> BondScan:
    """A bond of a molecule along `bond_path`, with energies and forces of GFN2-xTB.

    Raises
    ------
    ReferenceUnavailable
        If GFN2-xTB cannot be had for the molecule; single lengths without a converged density are NaN.
    """
    calculator = Gfn2Calculator()
    calculator.check(atoms)
    lengths, places = bond_path(atoms, i, j, points)
    found = scan(calculator, atoms, places)
    return BondScan(_name(atoms, i, j), atoms, (i, j), lengths, places, found.energies, found.forces)


def read_bond_scans(path: Path) -> list[BondScan]:
    """Scans with energies (eV) and forces (eV/Å) in extended xyz files.

    Parameters
    ----------
    path
        A file of one scan; or a folder, in which every file of several frames is a scan, and the files of one frame in
        one folder are (the layout of BSCT-SPICE).

    Raises
    ------
    InputError
        If there is no scan, or one cannot be read, lacks energies or forces, or changes no distance.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give a folder of bond scans (extended xyz)")
    files = sorted(path.rglob("*.xyz")) if path.is_dir() else [path]
    single: dict[Path, list[ase.Atoms]] = {}
    scans: list[BondScan] = []
    for file in files:
        frames = list(_frames(file))
        if len(frames) == 1:
            single.setdefault(file.parent, []).extend(frames)
        elif frames:
            scans.append(_scan_of(frames, file))
    scans += [_scan_of(frames, folder) for folder, frames in single.items()]
    if not scans:
        raise InputError(f"{path}: holds no xyz file; give a folder of bond scans (extended xyz)")
    return scans


def _frames(file: Path) -> Iterator[ase.Atoms]:
    try:
        found: Any = ase.io.read(file, index=":", format="extxyz")
    except Exception as error:  # ASE's reader raises whatever its parts do
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{file}: cannot be read as extended xyz ({text[:100]})") from error
    yield from found


def _scan_of(frames: list[ase.Atoms], path: Path) -> BondScan:
    first = frames[0]
    if len(frames) < _FEWEST:
        raise InputError(f"{path}: {len(frames)} geometries; a scan of a bond needs {_FEWEST} or more")
    if any(not np.array_equal(frame.numbers, first.numbers) for frame in frames):
        raise InputError(f"{path}: its frames are different molecules; a scan is one molecule with one bond moved")
    known: list[dict[str, Any]] = [getattr(frame.calc, "results", {}) for frame in frames]
    if any(not {"energy", "forces"} <= set(found) for found in known):
        raise InputError(f"{path}: a frame has no energy and forces; scans need both (eV, eV/Å)")
    places = np.stack([frame.positions for frame in frames])
    i, j = _moved_bond(places, path)
    lengths = np.linalg.norm(places[:, i] - places[:, j], axis=1)
    order = np.argsort(lengths)
    energies = np.array([found["energy"] for found in known], dtype=np.float64)
    forces = np.stack([np.asarray(found["forces"], dtype=np.float64) for found in known])
    lowest = ase.Atoms(first.numbers, places[int(np.argmin(energies))])
    return BondScan(_name(lowest, i, j), lowest, (i, j), lengths[order], places[order], energies[order], forces[order])


def _moved_bond(places: Float[np.ndarray, "S N 3"], path: Path) -> tuple[int, int]:
    """Of all pairs whose distance changes the one that comes nearest."""
    between = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    changes = np.ptp(between, axis=0) > _CHANGES
    if not changes.any():
        raise InputError(f"{path}: no distance changes from frame to frame; a scan moves one bond")
    nearest = np.where(changes, between.min(axis=0), np.inf)
    pair: Int[np.ndarray, " 2"] = np.array(np.unravel_index(int(nearest.argmin()), nearest.shape))
    return int(pair.min()), int(pair.max())


def _name(atoms: ase.Atoms, i: int, j: int) -> str:
    names = atoms.get_chemical_symbols()
    symbols = sorted((names[i], names[j]), key=lambda symbol: (symbol == "H", symbol))
    return f"{'-'.join(symbols)} in {atoms.get_chemical_formula()}"
