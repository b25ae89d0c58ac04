r"""Steps of energy and force as two molecules part: what a neighbour that leaves the cutoff leaves behind.

Along a path with coordinate s, the energy of an interval [a, b] should be what the forces on the moved molecule say,

.. math:: E(b) - E(a) + \tfrac{1}{2} (b - a) \Big(\sum_k F_k(a) + \sum_k F_k(b)\Big) \cdot u = O\big((b - a)^3\big)

with u the direction of motion. Where the left side does not vanish as the interval is halved again and again, the
energy jumps; where the change of forces does not, they do. No cutoff has to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from jaxtyping import Float

from atomlens.analyses.decay import Pair
from atomlens.potentials import AnyPotential, scan
from atomlens.surveys import Progress, no_progress

# Nearer molecules push each other so hard that small steps drown; in Å between nearest atoms.
NEAREST = 3.0
_GRID = 0.05
_HALVINGS = 14
_CANDIDATES = 2

STEP_SCHEMA = {
    "pair": pl.Int64,
    "name": pl.String,
    "energy_step": pl.Float64,
    "energy_at": pl.Float64,
    "force_step": pl.Float64,
    "force_at": pl.Float64,
}


@dataclass(frozen=True)
class _Point:
    s: float
    energy: float
    forces: Float[np.ndarray, "N 3"]


def step_table(
    potential: AnyPotential, pairs: Sequence[Pair], end: float, progress: Progress = no_progress
) -> tuple[pl.DataFrame, str]:
    """Largest steps of every pair of molecules that is pulled apart, and why pairs are missing.

    Parameters
    ----------
    potential
        The potential.
    pairs
        Molecules in contact.
    end
        To which distance of their nearest atoms, in Å.
    progress
        Called pair by pair.

    Returns
    -------
    One row per pair: ``pair``, ``name``, ``energy_step`` (eV), ``force_step`` (eV/Å, the atom whose force jumps most),
    and ``energy_at``, ``force_at``: between which nearest atoms (Å).
    """
    rows, reason = [], ""
    for number, pair in enumerate(pairs):
        progress("molecules that part", number, len(pairs))
        try:
            rows.append((number, pair.name, *_largest_steps(potential, pair, end)))
        except ValueError as error:  # no energy or force somewhere on the way
            reason = reason or str(error)
    progress("molecules that part", len(pairs), len(pairs))
    return pl.DataFrame(rows, schema=STEP_SCHEMA, orient="row"), reason


def _largest_steps(potential: AnyPotential, pair: Pair, end: float) -> tuple[float, float, float, float]:
    start = max(0.0, NEAREST - pair.gap)
    grid = np.arange(start, start + max(end - NEAREST, _GRID) + _GRID, _GRID)
    direction = pair.pulled(1.0).atoms.positions[-1] - pair.atoms.positions[-1]

    def ask(places: Sequence[float]) -> list[_Point]:
        positions = np.stack([pair.pulled(float(s)).atoms.positions for s in places])
        found = scan(potential, pair.atoms, positions)
        if not np.isfinite(found.energies).all():
            raise ValueError(found.reason)
        return [_Point(*point) for point in zip(places, found.energies.tolist(), found.forces, strict=True)]

    def energy_jump(a: _Point, b: _Point) -> float:
        pull = (a.forces + b.forces)[pair.n_first :].sum(axis=0) @ direction
        return abs(b.energy - a.energy + 0.5 * (b.s - a.s) * float(pull))

    def force_jump(a: _Point, b: _Point) -> float:
        return float(np.linalg.norm(b.forces - a.forces, axis=1).max())

    points = ask(grid.tolist())
    jumps = (energy_jump, force_jump)
    # Intervals that stand out from their neighbours are halved together until only a jump is left of them.
    asked = [(jump, points[k], points[k + 1]) for jump in jumps for k in _outstanding(points, jump)]
    for _ in range(_HALVINGS):
        middles = ask([0.5 * (a.s + b.s) for _, a, b in asked])
        asked = [
            (jump, a, m) if jump(a, m) > jump(m, b) else (jump, m, b)
            for (jump, a, b), m in zip(asked, middles, strict=True)
        ]
    found: list[float] = []
    for jump in jumps:
        size, at = max((jump(a, b), a.s) for which, a, b in asked if which is jump)
        found += [size, pair.pulled(at).gap]
    return found[0], found[1], found[2], found[3]


def _outstanding(points: Sequence[_Point], jump: Callable[[_Point, _Point], float]) -> list[int]:
    """Numbers of the intervals whose jump is most above that of their neighbours."""
    sizes = np.array([jump(a, b) for a, b in pairwise(points)])
    around = np.pad(sizes, 1, mode="edge")
    excess = sizes - 0.5 * (around[:-2] + around[2:])
    return np.argsort(excess)[::-1][:_CANDIDATES].tolist()
