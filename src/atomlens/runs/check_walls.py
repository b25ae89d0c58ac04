"""What `check` says of walls: their table, and whether those that give way are the model's own fault."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from ase import units

from atomlens.analyses import HIGH, Finding, Outcome, Wall, missing_energies, not_applicable
from atomlens.report import height_text, in_kT


def wall_table(walls: Sequence[Wall], compared: Sequence[tuple[Wall | None, bool]]) -> pl.DataFrame:
    """One row per wall, from `scan_walls` and `compare_wall`; see `CheckRun.walls`."""
    rows = [
        {
            "element_1": wall.elements[0],
            "element_2": wall.elements[1],
            "atom_1": wall.atoms[0],
            "atom_2": wall.atoms[1],
            "bonded": wall.bonded,
            "height_eV": _known(wall.height),
            "gives_way_A": _known(wall.gives_way),
            "lengths": len(wall.energies),
            "missing": int(np.isnan(wall.energies).sum()),
            "reference_height_eV": None if reference is None else _known(reference.height),
            "hole": None if hole and reference is None else hole,
        }
        for wall, (reference, hole) in zip(walls, compared, strict=True)
    ]
    real = dict.fromkeys(("height_eV", "gives_way_A"), pl.Float64)
    keys = {
        "element_1": pl.String,
        "element_2": pl.String,
        "atom_1": pl.Int64,
        "atom_2": pl.Int64,
        "bonded": pl.Boolean,
    }
    counts = dict.fromkeys(("lengths", "missing"), pl.Int64)
    judged = {"reference_height_eV": pl.Float64, "hole": pl.Boolean}
    return pl.DataFrame(rows, schema=keys | real | counts | judged)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def wall_finding(walls: Sequence[Wall], table: pl.DataFrame, temperature: float) -> Finding:
    """What the walls do, with `wall_table` of them, and whether those that give way are the model's own fault."""
    claim = "Whether the energy rises when two atoms are pushed into each other, down to 0.5 Å."
    if not walls:
        return not_applicable(claim, "the structure has no two atoms")
    fallen = table.filter(pl.col("gives_way_A").is_not_null()).sort("height_eV").rows(named=True)
    missing = missing_energies([wall.energies for wall in walls])
    if not fallen:
        said = "The one wall holds" if len(walls) == 1 else f"All {len(walls)} walls hold"
        said += " as far in as there are energies" if missing else " down to 0.5 Å"
    else:
        parts = [
            f"{_pair(row)} at {row['gives_way_A']:.2f} Å after {height_text(row['height_eV'], HIGH)}" for row in fallen
        ]
        which = "The one wall gives way" if len(walls) == 1 else f"{len(fallen)} of {len(walls)} walls give way"
        said = f"{which}: {some(parts, 4, '; ')}"
        said += "; the others hold as far in as there are energies" if missing and len(fallen) < len(walls) else ""
    judged = _judged_walls(fallen, temperature)
    sentence = " ".join([f"{said}{f' ({missing})' if missing else ''}.", *judged])
    return Finding(claim, Outcome.DESCRIPTIVE, sentence, reference="GFN2-xTB" if judged else "")


def _judged_walls(fallen: Sequence[dict[str, Any]], temperature: float) -> list[str]:
    """A sentence for each thing that walls which give way may mean."""
    high = [row for row in fallen if row["height_eV"] >= HIGH]
    low = [row for row in fallen if row["height_eV"] < HIGH]
    level = f"{HIGH:g} eV ({in_kT(HIGH / (units.kB * temperature))} at {temperature:g} K)"
    kinds = (
        (True, "where GFN2-xTB's wall holds (a hole in the model)"),
        (False, "as in GFN2-xTB (it may be a reaction)"),
        (None, "which may be a reaction or a hole in the model (there is no GFN2-xTB to compare with)"),
    )
    said = []
    for hole, means in kinds:
        if names := [_pair(row) for row in low if row["hole"] is hole]:
            gives = "gives" if len(names) == 1 else "give"
            below = f"{HIGH:g} eV" if said else level
            said.append(f"{len(names)} of them {gives} way below {below}, {means}: {some(names, 3, ', ')}.")
    if high:
        gives = "gives" if len(high) == 1 else "give"
        said.append(f"{len(high)} of them {gives} way only above {f'{HIGH:g} eV' if said else level}: no hole.")
    return said


def _pair(row: dict[str, Any]) -> str:
    return f"{row['element_1']}-{row['element_2']} {'bonded' if row['bonded'] else 'not bonded'}"


def some(names: Sequence[str], most: int, between: str) -> str:
    """The first of some names, and how many more there are."""
    rest = len(names) - most
    return between.join(names[:most]) + (f"{between}and {rest} more" if rest > 0 else "")
