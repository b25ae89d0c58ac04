"""Inputs of an analysis from a model and a few structures."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import polars as pl

from atomlens import Potential, explain
from atomlens.analyses import AnalysisInputs, untrained_models
from atomlens.models.units import to_internal
from atomlens.tables import explained_frame, frame_tables


def tables_of(model: Potential, structures: Sequence[ase.Atoms]) -> dict[str, pl.DataFrame]:
    """Tables of all levels over the structures."""
    levels: dict[str, list[pl.DataFrame]] = {}
    for index, atoms in enumerate(structures):
        frame = explained_frame(explain(model, atoms), index=index, top_walks=1)
        row = {
            "frame": frame.index,
            "name": frame.name,
            "n_atoms": len(atoms),
            "formula": atoms.get_chemical_formula(),
            f"prediction_{frame.unit}": frame.prediction,
            f"constant_{frame.unit}": frame.constant,
            f"residual_{frame.unit}": frame.residual,
            f"remainder_{frame.unit}": float(frame.interactions.remainder),
        }
        whole = pl.DataFrame([row]).with_columns(pl.col("frame").cast(pl.Int32))
        for name, table in ({"frames": whole} | frame_tables(frame)).items():
            levels.setdefault(name, []).append(table)
    return {name: pl.concat(parts) for name, parts in levels.items() if name != "walks"}


def inputs_of(model: Potential, structures: Sequence[ase.Atoms], *, with_untrained: bool = True) -> AnalysisInputs:
    """What `compute` of any question takes."""
    return AnalysisInputs(
        model=model,
        structures=structures,
        tables=tables_of(model, structures),
        untrained=[tables_of(fresh, structures) for fresh in untrained_models(model, n=2)] if with_untrained else [],
        unit=to_internal(model.config.output.unit)[1],
    )
