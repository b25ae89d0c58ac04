r"""Short-range walls: does the energy keep rising when two atoms are pushed into each other, down to 0.5 Å?

Models see few short distances in training, and many let atoms fall into each other below some distance. For every pair
of elements the closest bonded and the closest other pair of a structure is taken; one atom moves along the line between
the two, all others stay. A wall **gives way** where the energy, on the way in, falls more than 0.1 eV below the highest
value passed: the height passed until then is all that keeps the atoms apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from jaxtyping import Float

from atomlens.potentials import AnyPotential, scan
from atomlens.structures import BondTable, perceive_bonds

NEAREST, STEP = 0.5, 0.05
# A fall of less than this on the way in is no collapse, in eV.
_FALL = 0.1


@dataclass(frozen=True)
class Wall:
    """Energy of one pair of atoms on the way in.

    Attributes
    ----------
    elements
        Symbols of the two atoms, in alphabetical order.
    atoms
        The pair.
    bonded
        Whether a bond joins them.
    distances
        In Å, from where the pair stands inwards, shape (D,).
    energies
        In eV above the first that is known, shape (D,); NaN where the model gives none.
    """

    elements: tuple[str, str]
    atoms: tuple[int, int]
    bonded: bool
    distances: Float[np.ndarray, " D"]
    energies: Float[np.ndarray, " D"]

    @property
    def gives_way(self) -> float:
        """Distance in Å at which the energy has fallen by more than 0.1 eV on the way in; NaN if it never does."""
        return float(self.distances[k]) if (k := self._fall()) is not None else float("nan")

    @property
    def height(self) -> float:
        """Highest energy in eV before the wall gives way, or on the whole way."""
        end = self._fall()
        part = self.energies[: len(self.energies) if end is None else end]
        return float(np.nanmax(part)) if np.isfinite(part).any() else float("nan")

    def _fall(self) -> int | None:
        # Where there is no energy nothing is known: that is no fall.
        known = np.flatnonzero(np.isfinite(self.energies))
        if not len(known):
            return None
        energies = self.energies[known]
        # The first steps of a stretched bond lead downhill: the wall begins at the lowest point before its top.
        bottom = int(np.argmin(energies[: int(np.argmax(energies)) + 1]))
        highest = np.maximum.accumulate(energies[bottom:])
        below = np.flatnonzero(energies[bottom:] < highest - _FALL)
        return int(known[bottom + below[0]]) if len(below) else None


def scan_walls(potential: AnyPotential | Calculator, atoms: ase.Atoms) -> list[Wall]:
    """Walls of every pair of elements of a structure, bonded and not.

    Parameters
    ----------
    potential
        A model of energies, or any ASE calculator.
    atoms
        A molecule, best relaxed.
    """
    pairs = nearest_pairs(atoms, perceive_bonds(atoms))
    return [scan_wall(potential, atoms, i, j, bonded=bonded) for i, j, bonded in pairs]


def nearest_pairs(atoms: ase.Atoms, bonds: BondTable) -> list[tuple[int, int, bool]]:
    """For every pair of elements the closest bonded pair and the closest other one, with whether they are bonded."""
    bonded = {tuple(sorted(pair)) for pair in bonds.pairs.tolist()}
    best: dict[tuple[str, str, bool], tuple[float, int, int]] = {}
    symbols = atoms.get_chemical_symbols()
    for i, j in zip(*np.triu_indices(len(atoms), 1), strict=True):
        a, b = sorted((symbols[i], symbols[j]))
        key = (a, b, (int(i), int(j)) in bonded)
        found = (float(np.linalg.norm(atoms.positions[i] - atoms.positions[j])), int(i), int(j))
        best[key] = min(best.get(key, found), found)
    return [(i, j, key[2]) for key, (_, i, j) in sorted(best.items())]


def scan_wall(potential: AnyPotential | Calculator, atoms: ase.Atoms, i: int, j: int, *, bonded: bool) -> Wall:
    """The wall of one pair of atoms: the lighter one moves towards the other, in steps of 0.05 Å down to 0.5 Å."""
    line = atoms.positions[j] - atoms.positions[i]
    start = float(np.linalg.norm(line))
    # The lighter atom moves: it has less around it.
    mover, anchor, sign = (j, i, 1.0) if atoms.numbers[j] <= atoms.numbers[i] else (i, j, -1.0)
    distances = np.append(np.arange(start, NEAREST, -STEP), NEAREST) if start > NEAREST else np.array([start])
    places = np.repeat(atoms.positions[None], len(distances), axis=0)
    places[:, mover] = atoms.positions[anchor] + sign * distances[:, None] * line / start
    energies = scan(potential, atoms, places).energies
    known = energies[np.isfinite(energies)]
    symbols = atoms.get_chemical_symbols()
    a, b = sorted((symbols[i], symbols[j]))
    return Wall((a, b), (i, j), bonded, distances, energies - known[0] if len(known) else energies)


def missing_energies(walls: Sequence[Float[np.ndarray, " _"]]) -> str:
    """At how many lengths of some walls there is no energy, as a clause; empty where all have one.

    Examples
    --------
    >>> missing_energies([np.array([0.0, 1.0]), np.array([0.0, np.nan])])
    'no energy at 1 of 4 lengths, in 1 of 2 walls'
    """
    missing = [int((~np.isfinite(energies)).sum()) for energies in walls]
    if not any(missing):
        return ""
    where = f", in {sum(count > 0 for count in missing)} of {len(walls)} walls" if len(walls) > 1 else ""
    return f"no energy at {sum(missing)} of {sum(map(len, walls))} lengths{where}"
