r"""Ways out of a molecule, found without dynamics: the lowest energies at which a simulation would count it as broken.

A replica of `atomlens.dynamics.simulate` breaks when a bond differs from its reference length by more than 0.5 Å
(arXiv:2210.07237). Here every bond is stretched and compressed to that length in steps of 0.1 Å, and after each step
everything else is relaxed by descent on the model's own energy. With :math:`E_0` the energy of the relaxed structure
and :math:`E_k` that of step k,

.. math:: \Delta E = \max_k E_k - E_0

is how much energy the model asks for on this way out; a thermal molecule finds low ones. A descent may itself break the
molecule, which ends the way. Pairs of atoms that are not bonded are also pushed together, and let go: where a bond is
broken afterwards, the highest energy of the push is the price.

Were all ways tried equally often, the rate of leaving would go by the sum of their Boltzmann factors, as with a single
way out whose energy is the *thermal exit barrier*

.. math:: \Delta E_T = -k_B T \ln \sum_w e^{-\Delta E_w / k_B T}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase import units
from ase.calculators.calculator import Calculator
from ase.optimize import BFGS
from jaxtyping import Bool, Float, Int

from atomlens.dynamics.stability import BondReference, Criteria, bond_lengths, bond_reference
from atomlens.structures import BondTable, InputError, check_molecule, side_of

# Steps of descent, and the largest force in eV/Å at which it ends.
_STEPS, _FORCE = 60, 0.05
_STEPS_OF_START, _STEPS_BETWEEN = 200, 15
# Change of a bond from step to step in Å.
_STRIDE = 0.1
# No bond is compressed below this length in Å.
_SHORTEST = 0.4
# How many pairs without a bond are pushed together, and to which share of their distance.
_CONTACTS, _PUSH = 12, 0.6


class _NoEnergy(Exception):
    """A way on which the model gives no finite energy somewhere."""


@dataclass(frozen=True)
class WayOut:
    """One way out.

    Attributes
    ----------
    atoms
        The pair that was moved.
    how
        ``stretched``, ``compressed`` or ``pushed together``; ``by itself`` for a structure that falls apart when it is
        relaxed.
    energy
        ΔE in eV above the relaxed structure.
    positions
        The geometry of that energy in Å.
    """

    atoms: tuple[int, int]
    how: str
    energy: float
    positions: Float[np.ndarray, "N 3"]


@dataclass(frozen=True)
class Exits:
    """What was found.

    Attributes
    ----------
    relaxed
        The relaxed structure, or the one that was given where it fell apart.
    energy
        Its energy in eV.
    ways
        All ways out, lowest first.
    tried
        How many bonds and pairs were tried.
    failed
        On how many of them there is a geometry without an energy.
    """

    relaxed: ase.Atoms
    energy: float
    ways: tuple[WayOut, ...]
    tried: int
    failed: int

    def barrier(self, temperature: float) -> float:
        """Thermal exit barrier in eV at a temperature in K: below the lowest way out if there are several.

        Infinite where there is none.
        """
        return thermal_barrier([way.energy for way in self.ways], temperature)


def thermal_barrier(energies: Sequence[float], temperature: float) -> float:
    r"""All ways out as a single energy in eV: :math:`-kT \ln \sum_w e^{-E_w/kT}`; infinite where there is none.

    Parameters
    ----------
    energies
        Of every way out, in eV above the relaxed structure.
    temperature
        In K.

    Examples
    --------
    >>> round(thermal_barrier([1.0, 1.0], 300.0), 4)
    0.9821
    """
    thermal = units.kB * temperature
    return 0.0 - thermal * float(np.logaddexp.reduce([-energy / thermal for energy in energies], initial=-np.inf))


class HeldDistance:
    """Constraint of ASE that holds one distance exactly: ASE's own (SHAKE) does not converge for every geometry.

    Parameters
    ----------
    i, j
        The two atoms.
    length
        Their distance in Å.
    """

    def __init__(self, i: int, j: int, length: float) -> None:
        self.i, self.j, self.length = i, j, length

    def adjust_positions(self, atoms: ase.Atoms, new: Float[np.ndarray, "N 3"]) -> None:
        """Bring both atoms to their distance, each by half of what is missing."""
        line = new[self.j] - new[self.i]
        shift = 0.5 * (1.0 - self.length / np.linalg.norm(line)) * line
        new[self.i] += shift
        new[self.j] -= shift

    def adjust_forces(self, atoms: ase.Atoms, forces: Float[np.ndarray, "N 3"]) -> None:
        """Take off what would change the distance."""
        line = atoms.positions[self.j] - atoms.positions[self.i]
        unit = line / np.linalg.norm(line)
        apart = 0.5 * np.dot(forces[self.j] - forces[self.i], unit) * unit
        forces[self.i] += apart
        forces[self.j] -= apart

    def get_removed_dof(self, atoms: ase.Atoms) -> int:
        """One distance is one degree of freedom."""
        return 1


def find_exits(
    calculator: Calculator,
    atoms: ase.Atoms,
    criteria: Criteria | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exits:
    """All ways out of a molecule by its bonds and closest contacts.

    Parameters
    ----------
    calculator
        Any ASE calculator with energies in eV and forces.
    atoms
        One molecule, whole; it is relaxed first.
    criteria
        What counts as broken; of `simulate` if None.
    progress
        Called with how many of the tries are done, and with their number.

    Raises
    ------
    InputError
        If the structure is periodic, or the calculator gives it no finite energy.
    """
    check_molecule(atoms, "find_exits")
    criteria = criteria or Criteria()
    bonds = bond_reference(atoms)
    start = _start(calculator, atoms)
    first = start.get_potential_energy()
    relaxed = _descended(start.copy(), calculator, _STEPS_OF_START)
    if relaxed is None or _is_broken(relaxed, bonds, criteria).any():
        worst = 0 if relaxed is None else int(_off(relaxed, bonds).argmax())
        pair = (int(bonds.pairs[worst, 0]), int(bonds.pairs[worst, 1])) if len(bonds.pairs) else (0, 0)
        place = atoms.positions if relaxed is None else relaxed.positions
        return Exits(atoms.copy(), first, (WayOut(pair, "by itself", 0.0, place.copy()),), 1, int(relaxed is None))
    floor = float(relaxed.get_potential_energy())
    kept = BondReference(bonds.pairs, bond_lengths(relaxed.positions[None], bonds.pairs)[0], "the relaxed structure")
    contacts = closest_contacts(relaxed, bonds)
    total = 2 * len(kept.pairs) + len(contacts)
    ways: list[WayOut] = []
    failed = done = 0
    for row, (i, j) in enumerate(kept.pairs.tolist()):
        for how, sign in (("stretched", 1.0), ("compressed", -1.0)):
            try:
                ways.append(WayOut((i, j), how, *_along_bond(relaxed, calculator, row, sign, kept, criteria, floor)))
            except _NoEnergy:
                failed += 1
            done += 1
            progress(done, total)
    for i, j in contacts:
        try:
            way = _pushed(relaxed, calculator, (i, j), kept, criteria, floor)
            ways.extend([way] if way is not None else [])
        except _NoEnergy:
            failed += 1
        done += 1
        progress(done, total)
    return Exits(relaxed, floor, tuple(sorted(ways, key=lambda way: way.energy)), total, failed)


def closest_contacts(atoms: ase.Atoms, bonds: BondReference, count: int = _CONTACTS) -> list[tuple[int, int]]:
    """Pairs of atoms three bonds or more apart, closest first."""
    i, j = np.triu_indices(len(atoms), 1)
    far = _joined(len(atoms), bonds.pairs).topological_distances(2)[i, j] == 0  # not within two bonds
    i, j = i[far], j[far]
    order = np.argsort(np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1), kind="stable")[:count]
    return [(int(a), int(b)) for a, b in zip(i[order], j[order], strict=True)]


def _joined(n_atoms: int, pairs: Int[np.ndarray, "B 2"]) -> BondTable:
    """Bonds of which only the atoms are known."""
    return BondTable(pairs, np.ones(len(pairs)), False, n_atoms)


def _start(calculator: Calculator, atoms: ase.Atoms) -> ase.Atoms:
    start = atoms.copy()
    start.calc = calculator
    if not (np.isfinite(start.get_potential_energy()) and np.isfinite(start.get_forces()).all()):
        raise InputError(f"no finite energy and forces for {atoms.get_chemical_formula()}; check the structure")
    return start


def _descended(atoms: ase.Atoms, calculator: Calculator, steps: int, constraint: Any = None) -> ase.Atoms | None:
    """The structure after descent; None where it ends without a finite energy."""
    atoms.calc = calculator
    atoms.set_constraint(constraint)
    try:
        BFGS(atoms, logfile=None, maxstep=0.1).run(fmax=_FORCE, steps=steps)
        energy = atoms.get_potential_energy()
    except (InputError, ValueError, ArithmeticError, np.linalg.LinAlgError):  # atoms on one spot, or no numbers
        return None
    atoms.set_constraint()
    return atoms if np.isfinite(energy) and np.isfinite(atoms.positions).all() else None


def _along_bond(
    relaxed: ase.Atoms,
    calculator: Calculator,
    row: int,
    sign: float,
    bonds: BondReference,
    criteria: Criteria,
    floor: float,
) -> tuple[float, Float[np.ndarray, "N 3"]]:
    """Highest energy above `floor`, and its geometry, on the way to a broken bond."""
    i, j = bonds.pairs[row].tolist()
    side = side_of(relaxed, bonds.pairs, i, j)
    now, highest = relaxed, (-np.inf, relaxed.positions)
    for stride in np.arange(1, round(criteria.bond_deviation / _STRIDE) + 1):
        length = max(float(bonds.lengths[row]) + sign * float(stride) * _STRIDE, _SHORTEST)
        moved = now.copy()
        line = moved.positions[j] - moved.positions[i]
        distance = float(np.linalg.norm(line))
        moved.positions[side] += line / distance * (length - distance)
        found = _descended(moved, calculator, _STEPS_BETWEEN, HeldDistance(i, j, length))
        if found is None:
            raise _NoEnergy
        energy = float(found.get_potential_energy()) - floor
        if energy > highest[0]:
            highest = (energy, found.positions.copy())
        others = np.arange(len(bonds.pairs)) != row
        if _is_broken(found, bonds, criteria)[others].any():
            break  # downhill from here, by another bond
        now = found
    return highest


def _pushed(
    relaxed: ase.Atoms,
    calculator: Calculator,
    pair: tuple[int, int],
    bonds: BondReference,
    criteria: Criteria,
    floor: float,
) -> WayOut | None:
    """What becomes of two atoms pushed together and let go; None if the molecule stays whole."""
    i, j = pair
    pushed, highest = relaxed.copy(), (-np.inf, relaxed.positions)
    pushed.calc = calculator
    step = 0.5 * (1.0 - _PUSH) * (relaxed.positions[j] - relaxed.positions[i])
    for share in (0.25, 0.5, 0.75, 1.0):
        pushed.positions[i] = relaxed.positions[i] + share * step
        pushed.positions[j] = relaxed.positions[j] - share * step
        try:
            energy = float(pushed.get_potential_energy()) - floor
        except (InputError, ValueError, ArithmeticError) as error:
            raise _NoEnergy from error
        if not np.isfinite(energy):
            raise _NoEnergy
        highest = max(highest, (energy, pushed.positions.copy()), key=lambda at: at[0])
    after = _descended(pushed.copy(), calculator, _STEPS)
    if after is None:
        raise _NoEnergy
    if not _is_broken(after, bonds, criteria).any():
        return None
    return WayOut(pair, "pushed together", *highest)


def _off(atoms: ase.Atoms, bonds: BondReference) -> Float[np.ndarray, " B"]:
    return np.abs(bond_lengths(atoms.positions[None], bonds.pairs)[0] - bonds.lengths)


def _is_broken(atoms: ase.Atoms, bonds: BondReference, criteria: Criteria) -> Bool[np.ndarray, " B"]:
    return _off(atoms, bonds) > criteria.bond_deviation
