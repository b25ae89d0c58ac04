"""Explained structures that the report tests look at."""

from __future__ import annotations

from functools import cache
from typing import Any

import ase
import numpy as np
from ase.build import molecule

from atomlens import Explanation, Potential, explain
from atomlens.tables import AtomGroups, ExplainedFrame, RunInfo, explained_frame
from samples import small_model

# What nobody should be able to smuggle into a page.
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&\u2028"


@cache
def model() -> Potential:
    """Untrained PaiNN with three layers and a cutoff of 3 Å."""
    return small_model("painn", cutoff=3.0)


def ethanol(**info: Any) -> ase.Atoms:
    """Ethanol, with entries for ``atoms.info``."""
    atoms = molecule("CH3CH2OH")
    atoms.info.update(info)
    return atoms


def two_waters() -> ase.Atoms:
    """Two water molecules, 2.9 Å apart."""
    one, other = molecule("H2O"), molecule("H2O")
    other.translate([2.9, 0.3, 0.0])
    return one + other


def cell_of_waters() -> ase.Atoms:
    """Two water molecules in a cell, one of them beyond its wall."""
    atoms = two_waters()
    atoms.set_cell([6.5, 6.0, 6.0])
    atoms.pbc = True
    atoms.positions[3:, 0] += 6.5
    return atoms


def explanation(atoms: ase.Atoms | None = None, **settings: Any) -> Explanation:
    """The small model's explanation of a structure."""
    return explain(model(), ethanol() if atoms is None else atoms, **settings)


def frame(atoms: ase.Atoms | None = None, *, groups: AtomGroups | None = None, **wanted: Any) -> ExplainedFrame:
    """That explanation with everything that outputs ask of it."""
    return explained_frame(explanation(atoms), groups=groups, **wanted)


def info(**changes: Any) -> RunInfo:
    """A run of the small model."""
    return RunInfo(
        **{"model_path": "model.safetensors", "structures_path": "ethanol.xyz"} | changes, model=model().facts
    )


def brute_distance(atoms: ase.Atoms, i: int, j: int) -> float:
    """Distance to the nearest of the 125 nearest images."""
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3)
    images = (steps * atoms.pbc) @ atoms.cell.array
    return float(np.linalg.norm(atoms.positions[j] + images - atoms.positions[i], axis=1).min())
