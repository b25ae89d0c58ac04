"""Two molecules moved apart: what a model predicts for both together, and what its terms between them do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ase
import numpy as np
import polars as pl

from atomlens.analyses.assemblies import joined, lone_molecules, moved_apart, predictions, shift_to_contact
from atomlens.analyses.inputs import AnalysisInputs, seed_column, untrained_models
from atomlens.surveys import Progress, no_progress

GAPS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)
# Two molecules together have twice as many atoms, and are explained once a gap.
MAX_ATOMS = 100
# Half turns about three axes: over these four, the mean of every vector is zero.
_HALF_TURNS = (np.ones(3), np.array([1, -1, -1]), np.array([-1, 1, -1]), np.array([-1, -1, 1]))
# A prediction has stopped changing where it is within this share of its largest change over the scan.
_SETTLED = 0.01


@dataclass(frozen=True)
class Scans:
    """Scans of pairs of molecules.

    Attributes
    ----------
    dimers
        One row per pair: ``frame_1``, ``frame_2``, ``n_1``, ``n_2`` (atoms), ``alone_1``, ``alone_2`` (predictions),
        ``together`` (far apart), ``turned`` (root mean square over four turns of the second molecule, far apart),
        ``settled`` (gap in Å from which on the prediction changes by less than 1 % of its largest change),
        ``untrained_1``, ``untrained_2``, ``untrained_together``, ``untrained_turned`` (each for several untrained
        models, `seed_column`).
    scan
        One row per pair and gap: ``dimer``, ``gap`` (Å), ``together``, ``between`` (term of the two molecules as
        groups), ``strength`` (Σ|pair terms| across), ``pairs`` (how many), ``untrained`` (what untrained models
        predict for both).
    same_formula
        Whether the two molecules of a pair have one formula, for want of two.
    """

    dimers: pl.DataFrame
    scan: pl.DataFrame
    same_formula: bool


def scan_pairs(
    inputs: AnalysisInputs,
    n_dimers: int = 30,
    gaps: Sequence[float] = GAPS,
    rng: np.random.Generator | None = None,
    progress: Progress = no_progress,
) -> Scans:
    """Draw pairs of molecules of the set, each molecule once, and move them apart along a straight line.

    Parameters
    ----------
    inputs
        Model and structures; those that are several molecules, periodic, or of unknown elements take no part, nor do
        pairs at which an ASE calculator fails.
    n_dimers
        How many pairs, where there are as many molecules.
    gaps
        Distances between the nearest atoms in Å, increasing; the last one counts as far apart.
    rng
        Source of pairs and orientations.
    progress
        Called after every pair.
    """
    rng = np.random.default_rng(inputs.settings.seed) if rng is None else rng
    pairs = _draw_pairs(inputs, n_dimers, rng)
    untrained = untrained_models(inputs.model, inputs.settings.seed)
    dimers, scan = [], []
    for number, (i, j) in enumerate(pairs):
        progress("molecules moved apart", number, len(pairs))
        first, placed = moved_apart(inputs.structures[i], inputs.structures[j], gaps, rng)
        turns = [
            _at_gap(first, ase.Atoms(placed[-1].numbers, _turn(placed[-1], turn)), gaps[-1]) for turn in _HALF_TURNS
        ]
        rows = [_at(inputs, number, gap, first, second) for gap, second in zip(gaps, placed, strict=True)]
        together = [joined([first, second]) for second in placed]
        for seed, fresh in enumerate(untrained):
            column = seed_column("untrained", seed)
            rows = [row | {column: float(y)} for row, y in zip(rows, predictions(fresh, together), strict=True)]
        row: dict[str, float] = {"frame_1": i, "frame_2": j, "n_1": len(first), "n_2": len(placed[0])}
        alone = [first, placed[-1]]
        named = [(inputs.model, _PREDICTED)]
        named += [(m, [seed_column(f"untrained_{n}", k) for n in UNTRAINED]) for k, m in enumerate(untrained)]
        for model, names in named:
            y = predictions(model, [*alone, joined(alone), *(joined([first, turn]) for turn in turns)])
            row |= dict(zip(names, (*y[:3], np.sqrt(np.mean(y[3:] ** 2))), strict=True))
        if not all(math.isfinite(y) for y in (*(r["together"] for r in rows), *(row[name] for name in _PREDICTED))):
            continue  # the calculator failed
        scan += rows
        row["settled"] = settling_gap(np.array(gaps), np.array([r["together"] for r in rows]))
        dimers.append(row)
    formulas = [inputs.structures[k].get_chemical_formula() for pair in pairs for k in pair]
    alike = any(a == b for a, b in zip(formulas[::2], formulas[1::2], strict=True))
    return Scans(pl.DataFrame(dimers, infer_schema_length=None), pl.DataFrame(scan, infer_schema_length=None), alike)


_PREDICTED = ["alone_1", "alone_2", "together", "turned"]
UNTRAINED = ("1", "2", "together", "turned")


def settling_gap(gaps: np.ndarray, together: np.ndarray) -> float:
    """Smallest gap from which on a prediction stays within 1 % of its largest change over the scan from its last value.

    Examples
    --------
    >>> settling_gap(np.array([2.0, 4.0, 6.0]), np.array([5.0, 1.001, 1.0]))
    4.0
    """
    change = np.abs(together - together[-1])
    # Below rounding nothing changes; a scan that never did has settled from its start.
    moving = np.flatnonzero(change > max(_SETTLED * change.max(), 1e-9 * max(1.0, float(np.abs(together[-1])))))
    return float(gaps[moving[-1] + 1]) if len(moving) else float(gaps[0])


def _draw_pairs(inputs: AnalysisInputs, n_dimers: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    frames = rng.permutation(inputs.tables["frames"]["frame"].to_numpy()).tolist()
    small = (k for k in frames if len(inputs.structures[k]) <= MAX_ATOMS)
    found: list[int] = []
    for frame in small:
        found += lone_molecules(inputs.model, inputs.structures, [frame])
        if len(found) == 2 * n_dimers:
            break
    if len(found) == 1:
        return [(found[0], found[0])]
    # Neighbours in the order of formulas are of one formula; those half a list apart are, only where they must be.
    found.sort(key=lambda frame: inputs.structures[frame].get_chemical_formula())
    half = len(found) // 2
    return [(found[k], found[k + half]) for k in range(half)]


def _at(inputs: AnalysisInputs, dimer: int, gap: float, first: ase.Atoms, second: ase.Atoms) -> dict[str, float]:
    if not inputs.model.facts.has_terms:
        (both,) = predictions(inputs.model, [joined([first, second])])
        return {"dimer": dimer, "gap": gap, "together": float(both)}
    ex = inputs.explained(joined([first, second]))
    n = len(first)
    pairs = ex.interactions(max_order=2).order(2)
    across = (pairs.atoms[:, 0] < n) & (pairs.atoms[:, 1] >= n)
    groups = ex.group_interactions([list(range(n)), list(range(n, n + len(second)))], max_order=2)
    return {
        "dimer": dimer,
        "gap": gap,
        "together": ex.prediction,
        "between": float(groups.order(2).relevance.sum()),
        "strength": float(np.abs(pairs.relevance[across]).sum()),
        "pairs": int(across.sum()),
    }


def _turn(atoms: ase.Atoms, signs: np.ndarray) -> np.ndarray:
    centre = atoms.positions.mean(axis=0)
    return (atoms.positions - centre) * signs + centre


def _at_gap(first: ase.Atoms, second: ase.Atoms, gap: float) -> ase.Atoms:
    direction = np.array([1.0, 0.0, 0.0])
    second.positions += shift_to_contact(first.positions, second.positions, direction, gap) * direction
    return second
