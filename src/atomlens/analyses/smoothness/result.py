"""What the question of smoothness is answered from: bonds, molecules that part, walls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from atomlens.analyses.assemblies import lone_molecules
from atomlens.analyses.decay import MAX_ATOMS, make_dimers
from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.smoothness.bonds import POINT_SCHEMA, reference_scans, scan_tables
from atomlens.analyses.smoothness.steps import STEP_SCHEMA, step_table
from atomlens.analyses.smoothness.wall_table import (
    CURVE_SCHEMA,
    WALL_SCHEMA,
    ReferenceWall,
    elements_asked,
    gfn2_wall,
    wall_tables,
)
from atomlens.models import Potential
from atomlens.reference import composition, read_bond_scans
from atomlens.surveys import Progress, evenly_spread, no_progress

GFN2 = "GFN2-xTB"
# Two molecules part to this distance of their nearest atoms where no cutoff is known, and this far beyond one, in Å.
_FAR, _BEYOND = 12.0, 0.5


@dataclass(frozen=True)
class SmoothnessResult:
    """What was measured.

    Attributes
    ----------
    property, unit
        What the model predicts.
    is_energy
        Whether that is the energy of a geometry, which forces follow from.
    reference
        What bonds are compared with.
    scans, curves
        Bonds stretched and compressed (`scan_tables`); one row per scan, and per length.
    scans_missing
        Why scans, or points of them, are missing.
    steps
        Molecules that part (`step_table`), one row per pair.
    steps_missing
        Why pairs are missing.
    walls, wall_curves
        Two atoms pushed into each other (`wall_tables`).
    cutoff
        Of the model in Å; infinite where none is known.
    fades
        Whether the architecture lets every message fade out at the cutoff.
    seed
        Of the interval.
    """

    property: str
    unit: str
    is_energy: bool
    reference: str
    scans: pl.DataFrame
    curves: pl.DataFrame
    scans_missing: str
    steps: pl.DataFrame
    steps_missing: str
    walls: pl.DataFrame
    wall_curves: pl.DataFrame
    cutoff: float
    fades: bool
    seed: int


def compute(
    inputs: AnalysisInputs,
    *,
    progress: Progress = no_progress,
    n_scans: int = 40,
    n_points: int = 51,
    n_pairs: int = 16,
    n_walls: int = 60,
    reference_wall: ReferenceWall = gfn2_wall,
) -> SmoothnessResult:
    """Stretch bonds, part molecules, push atoms together.

    Parameters
    ----------
    inputs
        Model and structures; its tables are not needed.
    progress
        Called with what is being done.
    n_scans, n_points
        Scans of bonds, and lengths of each.
    n_pairs
        Pairs of molecules that part.
    n_walls
        Walls of molecules; those of two atoms alone come on top.
    reference_wall
        Where walls are compared.
    """
    facts, settings = inputs.model.facts, inputs.settings
    is_energy = inputs.unit == "eV" and composition(inputs.property, facts.has_forces).is_energy
    scans = curves = steps = walls = wall_curves = None
    missing, unstepped, reference = "", "", GFN2 if settings.scans is None else "scans in files"
    if is_energy:
        rng = np.random.default_rng(settings.seed)
        small = [k for k, atoms in enumerate(inputs.structures) if 1 < len(atoms) <= MAX_ATOMS]
        frames = [small[k] for k in evenly_spread(len(small), max(n_scans, n_pairs))]
        molecules = [inputs.structures[k] for k in lone_molecules(inputs.model, inputs.structures, frames)]
        if settings.scans is None:
            found, missing = reference_scans(molecules, n_scans, n_points, rng, progress)
        else:
            found = read_bond_scans(settings.scans)
        scans, curves, lost = scan_tables(inputs, found, progress)
        missing = missing or lost
        end = facts.cutoff + _BEYOND if math.isfinite(facts.cutoff) else _FAR
        steps, unstepped = step_table(inputs.model, make_dimers(molecules, n_pairs, settings.seed), end, progress)
        unstepped = unstepped or ("" if molecules else "no structure is a single molecule in the open")
        elements = elements_asked(facts.elements, inputs.structures)
        walls, wall_curves = wall_tables(inputs.model, elements, molecules, n_walls, progress, reference_wall)
    return SmoothnessResult(
        property=inputs.property,
        unit=inputs.unit,
        is_energy=is_energy,
        reference=reference,
        scans=pl.DataFrame() if scans is None else scans,
        curves=pl.DataFrame(schema=POINT_SCHEMA) if curves is None else curves,
        scans_missing=missing,
        steps=pl.DataFrame(schema=STEP_SCHEMA) if steps is None else steps,
        steps_missing=unstepped,
        walls=pl.DataFrame(schema=WALL_SCHEMA) if walls is None else walls,
        wall_curves=pl.DataFrame(schema=CURVE_SCHEMA) if wall_curves is None else wall_curves,
        cutoff=facts.cutoff,
        fades=isinstance(inputs.model, Potential),
        seed=settings.seed,
    )
