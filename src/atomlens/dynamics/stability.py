r"""When a simulation has left chemistry: bonds, temperatures and hydrogens watched frame by frame.

A replica **breaks** at the first recorded frame in which

* a bond of the starting structure differs from its reference length by more than 0.5 Å (Fu et al., "Forces are not
  enough", arXiv:2210.07237), or
* the temperature exceeds 10,300 K or rises more than 100-fold between frames, or a coordinate is not finite
  (*explosion*, the criterion of mlipaudit).

The kind of break is read from later frames: *explosion* if it explodes, *hydrogen loss* if a hydrogen ends farther
than 2.5 Å from every heavy atom, else *bond*.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import ase
import numpy as np
from jaxtyping import Bool, Float, Int

from atomlens.structures import InputError, perceive_bonds

_HYDROGEN = 1


class Break(StrEnum):
    """What a replica broke by."""

    BOND = "bond"
    HYDROGEN_LOSS = "hydrogen loss"
    EXPLOSION = "explosion"


@dataclass(frozen=True)
class Criteria:
    """Limits of a sound simulation.

    Attributes
    ----------
    bond_deviation
        Largest difference of a bond from its reference length in Å.
    hydrogen_distance
        Distance in Å from which a hydrogen is lost to every heavy atom.
    temperature
        Highest instantaneous temperature in K.
    temperature_jump
        Largest ratio of the temperatures of two frames.
    """

    bond_deviation: float = 0.5
    hydrogen_distance: float = 2.5
    temperature: float = 10_300.0
    temperature_jump: float = 100.0


@dataclass(frozen=True)
class BondReference:
    """Bonds that must hold, and their lengths.

    Attributes
    ----------
    pairs
        Bonded atoms, shape (B, 2).
    lengths
        Reference lengths in Å, shape (B,).
    source
        Where the lengths come from, for the report.
    """

    pairs: Int[np.ndarray, "B 2"]
    lengths: Float[np.ndarray, " B"]
    source: str


def bond_reference(atoms: ase.Atoms, trajectory: list[ase.Atoms] | None = None) -> BondReference:
    """Bonds of a structure with their mean lengths in a reference trajectory, or else in the structure itself.

    Raises
    ------
    InputError
        If the trajectory is of another molecule.
    """
    pairs = perceive_bonds(atoms).pairs
    if not trajectory:
        return BondReference(pairs, bond_lengths(atoms.positions[None], pairs)[0], "the starting structure")
    for number, frame in enumerate(trajectory):
        if not np.array_equal(frame.numbers, atoms.numbers):
            raise InputError(
                f"reference trajectory, frame {number}: {frame.get_chemical_formula()} with other atoms, or in another "
                f"order, than the structure {atoms.get_chemical_formula()}; give a trajectory of the same molecule"
            )
    positions = np.stack([frame.positions for frame in trajectory])
    mean = bond_lengths(positions, pairs).mean(axis=0)
    return BondReference(pairs, mean, f"mean of {len(trajectory)} reference frames")


def bond_lengths(positions: Float[np.ndarray, "R N 3"], pairs: Int[np.ndarray, "B 2"]) -> Float[np.ndarray, "R B"]:
    """Lengths in Å of given bonds in many frames."""
    return np.linalg.norm(positions[:, pairs[:, 0]] - positions[:, pairs[:, 1]], axis=-1)


@dataclass(frozen=True)
class FrameCheck:
    """What was found in one frame of every replica.

    Attributes
    ----------
    exploded, broken, hydrogen_lost
        Which replicas fail which criterion, shape (R,); `broken` is about bonds.
    worst_bond
        Row in `BondReference.pairs` of the bond that is furthest off, shape (R,); -1 without bonds.
    """

    exploded: Bool[np.ndarray, " R"]
    broken: Bool[np.ndarray, " R"]
    hydrogen_lost: Bool[np.ndarray, " R"]
    worst_bond: Int[np.ndarray, " R"]

    @property
    def failed(self) -> Bool[np.ndarray, " R"]:
        """Replicas that break in this frame; a lost hydrogen alone is a bond that broke before."""
        return self.exploded | self.broken


def check_frames(
    positions: Float[np.ndarray, "R N 3"],
    temperatures: Float[np.ndarray, " R"],
    earlier: Float[np.ndarray, " R"],
    numbers: Int[np.ndarray, " N"],
    bonds: BondReference,
    criteria: Criteria,
) -> FrameCheck:
    """Compare one frame of every replica with the criteria.

    Parameters
    ----------
    positions
        In Å, whole molecules: distances are those in open space.
    temperatures, earlier
        Instantaneous temperatures in K, of this frame and of the one before.
    numbers
        Atomic numbers.
    bonds, criteria
        What must hold.
    """
    finite = np.isfinite(positions).all(axis=(1, 2)) & np.isfinite(temperatures)
    with np.errstate(invalid="ignore", over="ignore"):
        jumped = temperatures > criteria.temperature_jump * np.maximum(earlier, 1.0)
        exploded = ~finite | (temperatures > criteria.temperature) | jumped
        safe = np.where(finite[:, None, None], positions, 0.0)
        off = np.abs(bond_lengths(safe, bonds.pairs) - bonds.lengths)
    broken = finite & (off > criteria.bond_deviation).any(axis=1)
    worst = off.argmax(axis=1) if off.shape[1] else np.full(len(positions), -1)
    lost = finite & lost_hydrogens(safe, numbers, criteria.hydrogen_distance).any(axis=1)
    return FrameCheck(exploded, broken, lost, worst)


def lost_hydrogens(
    positions: Float[np.ndarray, "R N 3"], numbers: Int[np.ndarray, " N"], distance: float
) -> Bool[np.ndarray, "R N"]:
    """Hydrogens farther than `distance` from every heavy atom; none where there is no heavy atom to lose."""
    hydrogen = numbers == _HYDROGEN
    lost = np.zeros(positions.shape[:2], dtype=bool)
    if hydrogen.any() and (~hydrogen).any():
        between = positions[:, hydrogen, None] - positions[:, None, ~hydrogen]
        lost[:, hydrogen] = np.linalg.norm(between, axis=-1).min(axis=2) > distance
    return lost
