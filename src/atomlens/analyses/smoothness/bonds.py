"""Bonds stretched and compressed: a model beside a reference, one row per scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ase
import numpy as np
import polars as pl

from atomlens.analyses.inputs import AnalysisInputs, seed_column, untrained_models
from atomlens.analyses.smoothness.curves import log_ratio, minima, smoothness_deviation, spare_minima, spring_ratio
from atomlens.potentials import AnyPotential, scan
from atomlens.reference import BondScan, ReferenceUnavailable, gfn2_bond_scan, open_bonds
from atomlens.structures import InputError
from atomlens.surveys import Progress, no_progress

# Untrained models are asked about so many scans each.
N_UNTRAINED_SCANS = 1

Scanner = Callable[[ase.Atoms, int, int, int], BondScan]
POINT_SCHEMA = {
    "scan": pl.Int64,
    "length": pl.Float64,
    "energy": pl.Float64,
    "reference": pl.Float64,
    "log_ratio": pl.Float64,
}


def reference_scans(
    structures: Sequence[ase.Atoms],
    count: int,
    points: int,
    rng: np.random.Generator,
    progress: Progress = no_progress,
    scanner: Scanner = gfn2_bond_scan,
) -> tuple[list[BondScan], str]:
    """Scans of bonds that are part of no ring, spread over the structures; and why some are missing.

    Parameters
    ----------
    structures
        Single molecules.
    count
        How many scans at most.
    points
        Lengths per scan.
    rng
        Which bonds, where a molecule has more than its share.
    progress
        Called scan by scan.
    scanner
        Makes a scan of a bond.
    """
    wanted: list[tuple[int, int, int]] = []
    for number, atoms in enumerate(structures):
        bonds = open_bonds(atoms)
        share = -(-(count - len(wanted)) // max(len(structures) - number, 1))
        wanted += [(number, *bonds[k]) for k in sorted(rng.permutation(len(bonds))[:share].tolist())]
    found, reason = [], "" if wanted else "no single molecule in the open with a bond outside of rings"
    for done, (number, i, j) in enumerate(wanted):
        progress("GFN2 along bonds", done, len(wanted))
        try:
            found.append(scanner(structures[number], i, j, points))
        except ReferenceUnavailable as error:
            reason = str(error)
    progress("GFN2 along bonds", len(wanted), len(wanted))
    return found, reason


def scan_deviation(model: AnyPotential, one: BondScan) -> float:
    """`smoothness_deviation` of a model along one bond, in 1/Å; NaN where too few lengths have forces."""
    start = _lowest(one)
    return smoothness_deviation(one.lengths, log_ratio(scan(model, one.atoms, one.positions).forces, one.forces, start))


def _lowest(one: BondScan) -> int:
    """The point of lowest reference energy."""
    return int(np.nanargmin(one.energies)) if np.isfinite(one.energies).any() else 0


def scan_tables(
    inputs: AnalysisInputs, scans: Sequence[BondScan], progress: Progress = no_progress
) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Every scan by the model: deviation and minima (one row per scan), curves (one row per length), what was missing.

    Columns of the first: ``scan``, ``name``, ``kind`` (elements of the bond), ``fsd`` and ``spring`` (deviation of the
    model and of a harmonic spring, 1/Å), ``minima`` and ``spare`` (minima of the model, and those that the reference
    does not have), ``missing`` (share of lengths without a number), and ``untrained`` (`seed_column`), the deviation of
    untrained models over the first scans.
    """
    rows, curves, reason = [], [], ""
    untrained = untrained_models(inputs.model, inputs.settings.seed)
    for number, one in enumerate(scans):
        progress("bonds stretched", number, len(scans))
        try:
            inputs.model.check_elements(one.atoms)
        except InputError as error:
            reason = reason or str(error)
            continue
        start = _lowest(one)
        found = scan(inputs.model, one.atoms, one.positions)
        reason = reason or found.reason
        ratio = log_ratio(found.forces, one.forces, start)
        row: dict[str, float | str] = {
            "scan": number,
            "name": one.name,
            "kind": one.kind,
            "fsd": smoothness_deviation(one.lengths, ratio),
            "spring": smoothness_deviation(one.lengths, spring_ratio(one.lengths, one.forces, start)),
            "minima": len(minima(one.lengths, found.energies)),
            "spare": spare_minima(one.lengths, found.energies, one.energies),
            "missing": float(np.isnan(ratio).mean()),
        }
        for seed, fresh in enumerate(untrained if len(rows) < N_UNTRAINED_SCANS else ()):
            row[seed_column("untrained", seed)] = scan_deviation(fresh, one)
        rows.append(row)
        energies, known = (e - e[start] for e in (found.energies, one.energies))
        columns = {"scan": number, "length": one.lengths, "energy": energies, "reference": known, "log_ratio": ratio}
        curves.append(pl.DataFrame(columns, schema=POINT_SCHEMA))
    progress("bonds stretched", len(scans), len(scans))
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table, pl.concat(curves) if curves else pl.DataFrame(schema=POINT_SCHEMA), reason
