"""Walls between atoms of every pair of elements: in molecules, and of two atoms alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement

import ase
import numpy as np
import polars as pl
from ase.data import covalent_radii

from atomlens.analyses.smoothness.walls import Wall, nearest_pairs, scan_wall
from atomlens.potentials import AnyPotential
from atomlens.reference import Gfn2Calculator, ReferenceUnavailable
from atomlens.structures import perceive_bonds
from atomlens.surveys import Progress, no_progress

# A wall that gives way above this is no danger: 3 eV are 70 kT at 500 K.
HIGH = 3.0
# More elements than this make too many pairs: those of the structures are asked then.
_MAX_ELEMENTS = 10
# Two atoms alone start at this multiple of the sum of their covalent radii.
_APART = 2.0

WALL_SCHEMA = {
    "wall": pl.Int64,
    "elements": pl.String,
    "molecule": pl.String,
    "bonded": pl.Boolean,
    "height": pl.Float64,
    "gives_way": pl.Float64,
    "reference_height": pl.Float64,
    "fails": pl.Boolean,
}
CURVE_SCHEMA = {"wall": pl.Int64, "distance": pl.Float64, "energy": pl.Float64}

# From a structure, a pair of atoms and whether a bond joins them to the reference's wall; None where it has none.
ReferenceWall = Callable[[ase.Atoms, int, int, bool], Wall | None]


def gfn2_wall(atoms: ase.Atoms, i: int, j: int, bonded: bool) -> Wall | None:
    """The wall of GFN2-xTB; None where it cannot be had."""
    calculator = Gfn2Calculator()
    try:
        calculator.check(atoms)
    except ReferenceUnavailable:
        return None
    return scan_wall(calculator, atoms, i, j, bonded=bonded)


def compare_wall(wall: Wall, atoms: ase.Atoms, reference: ReferenceWall = gfn2_wall) -> tuple[Wall | None, bool]:
    """The reference's wall, and whether the model's own is a hole: it gives way below 3 eV while the reference's holds.

    Parameters
    ----------
    wall, atoms
        A wall of a model, and the structure that it was scanned in.
    reference
        Asked about walls that give way below 3 eV: where its own does, nothing is wrong with the model, as two atoms
        may react. None is returned for its wall where it was not asked, or cannot be had; the latter excuses nothing.
    """
    if not (np.isfinite(wall.gives_way) and wall.height < HIGH):
        return None, False
    known = reference(atoms, *wall.atoms, wall.bonded)
    excused = known is not None and bool(np.isfinite(known.gives_way)) and known.height < HIGH
    return known, not excused


def wall_tables(
    potential: AnyPotential,
    elements: Sequence[int],
    structures: Sequence[ase.Atoms],
    count: int,
    progress: Progress = no_progress,
    reference: ReferenceWall = gfn2_wall,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Walls of a potential, one row per wall, and their curves, one row per distance.

    Parameters
    ----------
    potential
        The potential.
    elements
        Those it knows, at most ten: every pair of them as two atoms alone.
    structures
        Molecules: every pair of elements in each, bonded and not.
    count
        How many walls of molecules at most.
    progress
        Called wall by wall.
    reference
        As of `compare_wall`.

    Returns
    -------
    ``wall``, ``elements``, ``molecule`` ("two atoms alone"), ``bonded``, ``height`` (eV), ``gives_way`` (Å; null where
    it holds), ``reference_height`` (eV; null where not asked or none) and ``fails`` (null, as is the height,
    where there is no energy at all); and ``wall``, ``distance``, ``energy`` (NaN where there is none).
    """
    asked: list[tuple[ase.Atoms, str, int, int, bool]] = []
    for a, b in combinations_with_replacement(elements, 2):
        apart = _APART * float(covalent_radii[a] + covalent_radii[b])
        asked.append((ase.Atoms([a, b], [[0, 0, 0], [0, 0, apart]]), "two atoms alone", 0, 1, False))
    of_molecules: list[tuple[ase.Atoms, str, int, int, bool]] = []
    for atoms in structures:
        pairs = nearest_pairs(atoms, perceive_bonds(atoms))
        of_molecules += [(atoms, atoms.get_chemical_formula(), *pair) for pair in pairs]
    rows, curves = [], []
    for number, (atoms, name, i, j, bonded) in enumerate([*asked, *of_molecules[:count]]):
        progress("walls", number, len(asked) + min(count, len(of_molecules)))
        wall = scan_wall(potential, atoms, i, j, bonded=bonded)
        known, hole = compare_wall(wall, atoms, reference)
        height = known.height if known is not None and np.isfinite(known.height) else None
        way = wall.gives_way if np.isfinite(wall.gives_way) else None
        own, fails = (wall.height, hole) if np.isfinite(wall.height) else (None, None)
        rows.append((number, "-".join(wall.elements), name, bonded, own, way, height, fails))
        curves.append(pl.DataFrame({"wall": number, "distance": wall.distances, "energy": wall.energies}, CURVE_SCHEMA))
    table = pl.DataFrame(rows, schema=WALL_SCHEMA, orient="row")
    return table, pl.concat(curves) if curves else pl.DataFrame(schema=CURVE_SCHEMA)


def elements_asked(known: Sequence[int] | None, structures: Sequence[ase.Atoms]) -> list[int]:
    """The elements of a model; of many, or where it does not say, the commonest ones of the structures.

    Examples
    --------
    >>> elements_asked((1, 8), []), elements_asked(None, [ase.Atoms("CH4")])
    ([1, 8], [1, 6])
    """
    if known is not None and len(known) <= _MAX_ELEMENTS:
        return sorted(known)
    counts = np.bincount(np.concatenate([np.zeros(0, dtype=int), *(atoms.numbers for atoms in structures)]))
    common = np.argsort(-counts, kind="stable")[:_MAX_ELEMENTS]
    return sorted(int(z) for z in common if counts[z])
