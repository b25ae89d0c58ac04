"""What the model and the reference say of the pair that gave way, in the frames before the break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ase
import numpy as np
import polars as pl

from atomlens.dynamics.simulation import Fate, Simulation
from atomlens.interactions import Explanation, explain
from atomlens.potentials import AnyModel
from atomlens.reference import ReferenceUnavailable, gfn2_response, model_response
from atomlens.structures import InputError, check_atoms

# Frames before the break that are explained, the one at the break included.
N_FRAMES = 8


@dataclass(frozen=True)
class Failure:
    """The frames before a break, explained.

    Attributes
    ----------
    fate
        The replica, and how it ended.
    pair
        The two atoms that gave way: the bond furthest off, or for an explosion without one the atoms that came closest.
    frames
        The structures, first to last; the last one is broken. Those that fell apart into no numbers, or in on one
        spot, are left out: no potential is defined there.
    times
        Their times in ps.
    terms
        One row per frame and bond: frame, time_ps, atom_1, atom_2, distance, term_eV (pair term), model_coupling and
        reference_coupling (norms of Hessian blocks, eV/Å²; null where the reference has none), gave_way.
    reference
        Name of the reference, or why there is none.
    """

    fate: Fate
    pair: tuple[int, int]
    frames: tuple[ase.Atoms, ...]
    times: tuple[float, ...]
    terms: pl.DataFrame
    reference: str


def first_failure(simulation: Simulation) -> Fate | None:
    """The replica that broke first; None if all are sound."""
    broken = [fate for fate in simulation.fates if fate.kind is not None]
    return min(broken, key=lambda fate: fate.time) if broken else None


def explain_failure(
    model: AnyModel,
    atoms: ase.Atoms,
    simulation: Simulation,
    fate: Fate,
    *,
    n_frames: int = N_FRAMES,
    explained: Callable[[AnyModel, ase.Atoms], Explanation] = explain,
) -> Failure:
    """Interactions of the model in the frames before a break, next to its and GFN2's response couplings.

    Parameters
    ----------
    model
        The model, in float64.
    atoms
        The structure that was simulated.
    simulation, fate
        What happened, and to which replica.
    n_frames
        How many frames to explain.
    explained
        How to explain a frame.

    Raises
    ------
    InputError
        If the replica did not break.
    """
    if fate.kind is None:
        raise InputError(f"replica {fate.replica} did not break; there is no failure to explain")
    times, positions = simulation.frames(fate.replica)
    usable, frames = [], []
    for k in reversed(np.flatnonzero(times <= fate.time + 1e-9).tolist()):
        frame = atoms.copy()
        frame.positions = positions[k]
        frame.info["name"] = f"replica {fate.replica}, {times[k]:.4f} ps"
        if _explainable(frame):
            usable.insert(0, k)
            frames.insert(0, frame)
        if len(frames) == n_frames:
            break
    pair = fate.pair or _closest(positions[usable[-1]])
    bonds = {tuple(bond) for bond in simulation.bonds.pairs.tolist()} | {pair}
    tables, reference = [], "GFN2-xTB"
    for number, (frame, time) in enumerate(zip(frames, times[usable].tolist(), strict=True)):
        terms = explained(model, frame).interactions(2).order(2)
        term_of = dict(zip(map(tuple, terms.atoms.tolist()), terms.relevance.tolist(), strict=True))
        mine = model_response(model, frame).couplings
        try:
            other = gfn2_response(frame).couplings
        except ReferenceUnavailable as reason:
            other, reference = None, f"none ({reason})"
        rows = [
            {
                "frame": number,
                "time_ps": time,
                "atom_1": i,
                "atom_2": j,
                "distance": frame.get_distance(i, j),
                "term_eV": term_of.get((i, j), 0.0),
                "model_coupling": float(mine[i, j]),
                "reference_coupling": None if other is None else float(other[i, j]),
                "gave_way": (i, j) == pair,
            }
            for i, j in sorted(bonds)
        ]
        tables.append(pl.DataFrame(rows, schema_overrides={"reference_coupling": pl.Float64}))
    return Failure(fate, pair, tuple(frames), tuple(times[usable].tolist()), pl.concat(tables), reference)


def _explainable(frame: ase.Atoms) -> bool:
    try:
        check_atoms(frame)
    except InputError:
        return False
    return True


def _closest(positions: np.ndarray) -> tuple[int, int]:
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    i, j = np.unravel_index(int(distances.argmin()), distances.shape)
    return (int(min(i, j)), int(max(i, j)))
