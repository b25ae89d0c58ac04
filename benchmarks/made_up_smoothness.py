"""Made-up answers to the question of smoothness: deviations of bonds, minima, walls, steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses import DEVIATION, Finding, Outcome, SmoothnessResult
from atomlens.analyses.smoothness.question import ENERGY_STEP, FORCE_STEP
from atomlens.analyses.smoothness.question import judge as judge_smoothness
from made_up import A, C, D, World

_NAMES = ("deviation", "minima", "walls", "energy_step", "force_step")
_SEEDS = 10


def smoothness(
    *, deviation: float, spare: float, failing: float, energy_step: float, force_step: float, fresh: float = 12.0
) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Forty bonds of a median deviation (1/Å), some with spare minima; 60 walls; 16 pairs with steps (meV, meV/Å)."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        n = 40
        scans = {
            "scan": np.arange(n),
            "name": ["C-C in C2H6"] * n,
            "kind": ["C-C"] * n,
            "fsd": deviation * rng.lognormal(sigma=0.5, size=n),
            "spring": 8.7 * rng.lognormal(sigma=0.1, size=n),
            "minima": np.ones(n, dtype=int),
            "spare": (rng.random(n) < spare).astype(int),
            "missing": np.zeros(n),
        }
        for seed in range(_SEEDS):
            name = "untrained" if seed == 0 else f"untrained/{seed}"
            known = fresh * rng.lognormal(sigma=0.2, size=2)
            scans[name] = [*known.tolist(), *[None] * (n - 2)]
        fails = rng.random(60) < failing
        walls = {
            "wall": np.arange(60),
            "elements": ["C-H"] * 60,
            "molecule": ["C2H6"] * 60,
            "bonded": [True] * 60,
            "height": np.where(fails, 1.0, 20.0),
            "gives_way": np.where(fails, 0.7, np.nan),
            "reference_height": np.full(60, np.nan),
            "fails": fails,
        }
        steps = {
            "pair": np.arange(16),
            "name": ["C2H6 C2H6"] * 16,
            "energy_step": 1e-3 * energy_step * rng.lognormal(sigma=0.5, size=16),
            "energy_at": np.full(16, 5.0),
            "force_step": 1e-3 * force_step * rng.lognormal(sigma=0.5, size=16),
            "force_at": np.full(16, 5.0),
        }
        result = SmoothnessResult(
            property="energy",
            unit="eV",
            is_energy=True,
            reference="GFN2-xTB",
            scans=pl.DataFrame(scans),
            curves=pl.DataFrame(),
            scans_missing="",
            steps=pl.DataFrame(steps),
            steps_missing="",
            walls=pl.DataFrame(walls),
            wall_curves=pl.DataFrame(),
            cutoff=5.0,
            fades=False,
            seed=int(rng.integers(2**31)),
        )
        found = judge_smoothness(result).findings
        return {f"smoothness/{name}": finding for name, finding in zip(_NAMES, found, strict=True)}

    return make


def _expected(**outcomes: Outcome) -> dict[str, Outcome]:
    return {f"smoothness/{name}": outcome for name, outcome in outcomes.items()}


WORLDS = [
    World(
        "a smooth energy",
        _expected(deviation=A, minima=A, walls=A, energy_step=A, force_step=A),
        smoothness(deviation=1.5, spare=0.0, failing=0.0, energy_step=0.1, force_step=1.0),
    ),
    World(
        "kinks, minima, walls that give way, steps at the cutoff",
        _expected(deviation=D, minima=D, walls=D, energy_step=D, force_step=D),
        smoothness(deviation=20.0, spare=0.4, failing=0.4, energy_step=20.0, force_step=200.0),
    ),
    World(
        "smoothness at the limits",
        _expected(deviation=C, minima=C, walls=C, energy_step=C, force_step=C),
        smoothness(deviation=DEVIATION, spare=0.1, failing=0.1, energy_step=ENERGY_STEP, force_step=FORCE_STEP),
    ),
    World(
        "bonds as smooth as those of untrained models",
        _expected(deviation=C),
        smoothness(deviation=1.5, spare=0.0, failing=0.0, energy_step=0.1, force_step=1.0, fresh=1.5),
    ),
]
