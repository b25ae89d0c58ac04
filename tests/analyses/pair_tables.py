"""Inputs of analyses whose pair terms follow a law that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import ase
import ase.build
import numpy as np
import polars as pl
from explained import inputs_of

from atomlens.analyses import AnalysisInputs
from samples import small_model

MOLECULES = ("C2H6", "C2H4", "C2H2", "HCN", "CH3OH", "H2CO", "H3CNH2", "H2O", "CH3CONH2", "CH3CH2OH")


@cache
def molecules(copies: int = 5) -> tuple[ase.Atoms, ...]:
    """Small molecules with single, double and triple bonds, each several times a little displaced."""
    rng = np.random.default_rng(0)
    found = []
    for name in MOLECULES * copies:
        atoms = ase.build.molecule(name)
        atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)
        found.append(ase.Atoms(atoms.numbers, atoms.positions))
    return tuple(found)


@cache
def clouds(n: int = 12, atoms: int = 10) -> tuple[ase.Atoms, ...]:
    """Clusters of He and Ne without bonds, atoms 2.5 Å apart or more."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(n):
        places = np.zeros((1, 3))
        while len(places) < atoms:
            candidate = rng.uniform(-4.0, 4.0, size=3)
            if np.linalg.norm(places - candidate, axis=1).min() > 2.4:
                places = np.concatenate([places, candidate[None]])
        found.append(ase.Atoms(rng.choice([2, 9], size=atoms), places))
    return tuple(found)


@cache
def _plain_inputs(source: Callable[[], Sequence[ase.Atoms]]) -> AnalysisInputs:
    return inputs_of(small_model("schnet", n_layers=2, cutoff=5.0), list(source()))


def inputs_with(
    source: Callable[[], Sequence[ase.Atoms]], law: Callable[[pl.DataFrame], np.ndarray] | None = None
) -> AnalysisInputs:
    """Inputs of a small model without constant, its terms those of a law, those of ten untrained ones noise."""
    inputs = _plain_inputs(source)
    if law is None:
        return inputs
    pairs = inputs.tables["pairs"]
    lawful = pairs.with_columns(pl.Series(inputs.relevance, law(pairs), dtype=pl.Float64))
    noise = [
        {"pairs": pairs.with_columns(pl.Series(inputs.relevance, np.random.default_rng(k).normal(size=len(pairs))))}
        for k in range(10)
    ]
    frames = inputs.tables["frames"].with_columns(constant_eV=pl.lit(0.0))
    tables = inputs.tables | {"pairs": lawful, "frames": frames}
    return replace(inputs, tables=tables, untrained=noise)
