"""Rings of three hydrogen-bonded molecules, water and ammonia in every mixture, from tight to loose.

Two neighbours of a ring share a hydrogen bond, and either of them may be its donor. Rings in which every molecule gives
one and takes one strengthen their bonds; a molecule that gives two, or takes two, weakens them. So three-body energies
of both signs occur at one and the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import ase
import ase.build
import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from atomlens.analyses.assemblies import joined

# Distances of neighbouring heavy atoms, in units of a common hydrogen bond.
SIZES = (0.95, 1.05, 1.2)
MIXTURES = (("H2O", "H2O", "H2O"), ("H2O", "H2O", "NH3"), ("H2O", "NH3", "NH3"), ("NH3", "NH3", "NH3"))
# Distances in Å of the heavy atoms of hydrogen-bonded dimers: two of water, one of each, two of ammonia.
_BONDS = {"OO": 2.9, "NO": 3.0, "NN": 3.25}
# Standard deviation, in degrees, of the turn about each axis by which molecules miss the ideal bond.
_TURN = 15.0
# No two atoms of different molecules are nearer than this in Å, at the smallest size.
_NEAREST = 1.6
# Weight of the direction that fixes what the two bonds of a molecule leave open.
_LOOSE = 0.05


@dataclass(frozen=True)
class Trimer:
    """One ring at several sizes.

    Attributes
    ----------
    mixture
        Formulas of the molecules, "H2O H2O NH3".
    structures
        The ring at every size of `SIZES`; molecules keep their shape and their orientation.
    molecules
        Atoms of each of the three.
    """

    mixture: str
    structures: tuple[ase.Atoms, ...]
    molecules: tuple[tuple[int, ...], ...]

    def gap(self, size: int) -> float:
        """Smallest distance in Å between atoms of two molecules."""
        places = [self.structures[size].positions[list(part)] for part in self.molecules]
        return min(float(cdist(a, b).min()) for a, b in combinations(places, 2))


def make_trimers(mixtures: Sequence[tuple[str, ...]], n: int, rng: np.random.Generator) -> list[Trimer]:
    """So many rings, of every mixture in turn.

    Parameters
    ----------
    mixtures
        Some of `MIXTURES`.
    n
        How many rings in all.
    rng
        Source of donors and orientations.
    """
    return [_trimer(mixtures[k % len(mixtures)], rng) for k in range(n)]


def _trimer(names: tuple[str, ...], rng: np.random.Generator) -> Trimer:
    while True:
        gives = rng.random(3) < 0.5  # whether molecule k, and not k + 1, is the donor of the bond between them
        molecules = [ase.build.molecule(name) for name in names]
        places = _corners([molecule.get_chemical_symbols()[0] for molecule in molecules])
        turned = [_oriented(molecule, k, places, gives, rng) for k, molecule in enumerate(molecules)]
        rings = [_placed(turned, places * size) for size in SIZES]
        ends = np.cumsum([len(molecule) for molecule in molecules]).tolist()
        parts = tuple(tuple(range(e - len(m), e)) for e, m in zip(ends, molecules, strict=True))
        found = Trimer(" ".join(names), tuple(rings), parts)
        # Orientations in which molecules meet head on are drawn again.
        if found.gap(0) > _NEAREST:
            return found


def _corners(heavy: list[str]) -> Float[np.ndarray, "3 3"]:
    """Heavy atoms in a plane, neighbours one hydrogen bond apart, around the centre of the triangle."""
    a, b, c = (_BONDS["".join(sorted((heavy[i], heavy[j])))] for i, j in ((0, 1), (1, 2), (2, 0)))
    x = (a**2 + c**2 - b**2) / (2 * a)
    corners = np.array([[0.0, 0.0, 0.0], [a, 0.0, 0.0], [x, np.sqrt(c**2 - x**2), 0.0]])
    return corners - corners.mean(axis=0)


def _oriented(
    molecule: ase.Atoms, k: int, places: Float[np.ndarray, "3 3"], gives: np.ndarray, rng: np.random.Generator
) -> ase.Atoms:
    """Hydrogens towards the molecules that it gives to, lone pairs towards those that it takes from; turned a bit."""
    hydrogens = molecule.positions[1:] - molecule.positions[0]
    arms, pairs = list(hydrogens / np.linalg.norm(hydrogens, axis=1, keepdims=True)), _lone_pairs(hydrogens)
    own, wanted = [], []
    for other, donor in (((k + 1) % 3, gives[k]), ((k - 1) % 3, not gives[(k - 1) % 3])):
        line = places[other] - places[k]
        own.append(arms.pop() if donor else pairs[0] if len(pairs) == 1 else pairs.pop())
        wanted.append(line / np.linalg.norm(line))
    loose = rng.normal(size=3)
    own, wanted = [*own, loose / np.linalg.norm(loose)], [*wanted, np.array([0.0, 0.0, 1.0])]
    ideal = Rotation.align_vectors(np.array(wanted), np.array(own), weights=[1.0, 1.0, _LOOSE])[0]
    miss = Rotation.from_rotvec(np.radians(rng.normal(scale=_TURN, size=3)))
    return ase.Atoms(molecule.numbers, (miss * ideal).apply(molecule.positions - molecule.positions[0]))


def _lone_pairs(hydrogens: Float[np.ndarray, "H 3"]) -> list[Float[np.ndarray, " d"]]:
    """Directions of lone pairs: away from three hydrogens; of two, above and below their plane at 54 degrees."""
    back = -hydrogens.sum(axis=0)
    back /= np.linalg.norm(back)
    if len(hydrogens) > 2:
        return [back]
    up = np.cross(hydrogens[0], hydrogens[1])
    up /= np.linalg.norm(up)
    half = np.radians(54.75)
    return [np.cos(half) * back + side * np.sin(half) * up for side in (1.0, -1.0)]


def _placed(molecules: list[ase.Atoms], corners: Float[np.ndarray, "3 3"]) -> ase.Atoms:
    moved = []
    for molecule, corner in zip(molecules, corners, strict=True):
        there = molecule.copy()
        there.positions += corner
        moved.append(there)
    return joined(moved)
