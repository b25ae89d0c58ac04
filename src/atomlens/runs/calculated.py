"""What an analysis of an ASE calculator starts from: structures with energies, pairs of atoms, a check of forces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
import polars as pl

from atomlens.potentials import ROOM, CalculatorModel
from atomlens.structures import InputError, NothingDone
from atomlens.surveys import Progress, Sample, StructureSource, evenly_spread, write_table
from atomlens.tables import RELATIONS, survey

# A calculator has no tables of terms to fill: questions need no more structures than this.
N_CALCULATED = 200
# Pairs further apart than this have no law that could be told, in Å.
_FARTHEST = 15.0
# Two molecules are moved apart to this distance of their nearest atoms (extensivity), in Å.
_APART = 15.0

_FRAMES = {"frame": pl.Int32, "formula": pl.String, "n_atoms": pl.Int32, "prediction_eV": pl.Float64}
_SKIPPED = {"frame": pl.Int32, "formula": pl.String, "reason": pl.String}


def calculated_sample(
    model: CalculatorModel, source: StructureSource, folder: Path, count: int, progress: Progress
) -> tuple[Sample, int]:
    """Structures that the calculator has an energy of, and how many it failed at.

    Writes ``frames.parquet``, ``pairs.parquet`` and ``skipped.parquet``, as a survey of a model does, without terms.

    Parameters
    ----------
    model
        The calculator.
    source
        All structures.
    folder
        Where tables are written.
    count
        From how many structures at most, evenly spread; never more than 200.
    progress
        Called structure by structure.

    Raises
    ------
    InputError
        If it failed at all of them, or a box is too small for what the questions put into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = evenly_spread(len(source), min(count, N_CALCULATED))
    structures: list[ase.Atoms] = []
    frames, pairs, skipped = [], [], []
    for done, number in enumerate(chosen):
        progress("energies", done, len(chosen))
        atoms = source[number]
        formula = atoms.get_chemical_formula()
        try:
            energy = model.predict(atoms).energy
        except InputError as error:
            skipped.append((number, formula, str(error)))
            continue
        place = len(structures)
        frames.append((place, formula, len(atoms), energy))
        pairs.append(_pairs(place, atoms))
        structures.append(atoms)
    progress("energies", len(chosen), len(chosen))
    if not structures:
        raise NothingDone(f"none of {len(skipped)} structures has an energy; the first: {skipped[0][2]}")
    check_box(model, structures)
    tables = {"frames": pl.DataFrame(frames, schema=_FRAMES, orient="row"), "pairs": pl.concat(pairs)}
    for name, table in (*tables.items(), ("skipped", pl.DataFrame(skipped, schema=_SKIPPED, orient="row"))):
        write_table(table, folder / f"{name}.parquet")
    failed = {number for number, _, _ in skipped}
    kept = [number for number in chosen if number not in failed]
    return Sample(kept, structures, tables, len(structures)), len(skipped)


def check_box(model: CalculatorModel, structures: Sequence[ase.Atoms]) -> None:
    """Refuse a box that is too small for two molecules far apart, before anything is computed in it.

    Raises
    ------
    InputError
        If it is; the message has the edge that would do.
    """
    box = model.origin.box
    widest = [_diameter(atoms) for atoms in structures if not atoms.pbc.any()]
    if box is None or not widest:
        return
    least = math.ceil(max(2.0 * max(widest) + _APART, 3.0 * max(widest) + 8.0) + ROOM)
    if box < least:
        raise NothingDone(
            f"--box {box:g}: two molecules of up to {max(widest):.0f} Å are moved {_APART:g} Å apart, and their images "
            f"must be {ROOM:g} Å away; give --box {least} or more"
        )


def _diameter(atoms: ase.Atoms) -> float:
    """No rotation makes a structure wider than this, in Å."""
    return 2.0 * float(np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1).max())


def _pairs(frame: int, atoms: ase.Atoms) -> pl.DataFrame:
    """Pairs of atoms as the table of a model has them; the column of terms is empty."""
    around, symbols = survey(atoms), np.array(atoms.get_chemical_symbols(), dtype=str)
    i, j = np.triu_indices(len(atoms), 1)
    distance = around.distances(i, j)
    near = distance <= _FARTHEST
    i, j = i[near], j[near]
    columns = {
        "frame": pl.Series(np.full(len(i), frame), dtype=pl.Int32),
        "atom_1": pl.Series(i, dtype=pl.Int32),
        "atom_2": pl.Series(j, dtype=pl.Int32),
        "element_1": pl.Series(symbols[i].tolist(), dtype=pl.String),
        "element_2": pl.Series(symbols[j].tolist(), dtype=pl.String),
        "distance": pl.Series(distance[near], dtype=pl.Float64),
        "relation": pl.Series([RELATIONS[k] for k in around.relations(i, j)], dtype=pl.String),
        "relevance_eV": pl.Series([None] * len(i), dtype=pl.Float64),
    }
    return pl.DataFrame(columns)
