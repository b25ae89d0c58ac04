"""Systems that the benchmarks run on."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
from scipy.spatial.transform import Rotation

SHARED = Path(__file__).resolve().parents[2] / "shared"
MODEL = SHARED / "testdata" / "schnetpack_rmd17_ethanol_painn" / "best_model"


def molecule(name: str) -> ase.Atoms:
    """Ethanol (9 atoms), aspirin (21) or ac_ala3_nhme (42)."""
    return ase.io.read(SHARED / "testdata" / f"{name}.xyz")


def water_box(n_side: int, seed: int = 1) -> ase.Atoms:
    """Periodic box of n³ water molecules at the density of the liquid (0.0334 molecules/Å³), turned at random."""
    rng = np.random.default_rng(seed)
    spacing = (1 / 0.0334) ** (1 / 3)
    water = np.array([[0.0, 0.0, 0.0], [0.9572, 0.0, 0.0], [-0.2400, 0.9266, 0.0]])
    grid = spacing * np.stack(np.meshgrid(*[np.arange(n_side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    turns = Rotation.random(len(grid), rng=rng)
    positions = np.concatenate([turn.apply(water) + at for turn, at in zip(turns, grid, strict=True)])
    return ase.Atoms("OHH" * len(grid), positions=positions, cell=[n_side * spacing] * 3, pbc=True)
