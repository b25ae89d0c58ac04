"""Run replicas frame by frame, watch them, and write what happens as it happens."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
import polars as pl
from jaxtyping import Float

from atomlens.dynamics.energies import energy_unit
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.replicas import Replicas, Snapshot
from atomlens.dynamics.stability import BondReference, Break, Criteria, FrameCheck, bond_reference, check_frames
from atomlens.folders import alone_in, atomic_file, claim, load_state, reading, save_state, whole
from atomlens.potentials import AnyModel, OpenedModel
from atomlens.structures import InputError, NothingDone, check_atoms, check_molecule

# Called with frames done, frames in all, replicas still running, and simulated ns per day.
Report = Callable[[int, int, int, float], None]
_CHECKPOINT, _SETTINGS = "checkpoint.safetensors", "settings.json"
# Patterns of all files that a simulation writes.
SIMULATION_FILES = (
    _CHECKPOINT,
    _SETTINGS,
    "frames-?????.npz",
    "observables-?????.parquet",
    "observables.parquet",
)
# What a checkpoint holds besides the replicas' own state: numbers, and arrays of one entry per replica.
_NUMBERS = ("frame", "part", "seconds")
_OF_REPLICAS = ("broke_at", "pair", "earlier")
_OBSERVABLES = {
    "replica": pl.Int64,
    "time_ps": pl.Float64,
    "potential_eV": pl.Float64,
    "kinetic_eV": pl.Float64,
    "temperature_K": pl.Float64,
    "sound": pl.Boolean,
}
_AGAIN = "name another folder, or add --overwrite"
# Frames a part holds: what a kill can cost.
FRAMES_PER_PART = 50


@dataclass(frozen=True)
class Fate:
    """How one replica ended.

    Attributes
    ----------
    replica
        Its number.
    time
        Sound time in ps: until it broke, or until the simulation ended.
    kind
        What it broke by; None if it is sound.
    pair
        The bond that was furthest off when it broke; None for another cause.
    """

    replica: int
    time: float
    kind: Break | None = None
    pair: tuple[int, int] | None = None


@dataclass(frozen=True)
class Simulation:
    """A finished simulation; its frames are in Parquet and NumPy files that can be read while it runs.

    Attributes
    ----------
    folder
        ``frames-*.npz`` (positions and velocities of every part) and ``observables.parquet``.
    fates
        How each replica ended.
    bonds
        The bonds that were watched.
    observables
        One row per replica and frame: replica, time_ps, potential_eV, kinetic_eV, temperature_K, sound.
    seconds
        Wall time, of all sittings.
    """

    folder: Path
    fates: tuple[Fate, ...]
    bonds: BondReference
    observables: pl.DataFrame
    seconds: float

    def frames(self, replica: int) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, "K N 3"]]:
        """Times in ps and positions in Å of a replica, in order."""
        times, positions = [], []
        for path in sorted(self.folder.glob("frames-*.npz")):
            with reading(path, _AGAIN), path.open("rb") as file, np.load(file) as part:
                mine = part["replica"] == replica
                times.append(part["time_ps"][mine])
                positions.append(part["positions"][mine])
        return np.concatenate(times), np.concatenate(positions).astype(float)


def simulate(
    model: AnyModel,
    atoms: ase.Atoms,
    folder: Path,
    options: MDOptions | None = None,
    *,
    criteria: Criteria | None = None,
    reference: list[ase.Atoms] | None = None,
    report: Report | None = None,
) -> Simulation:
    """Simulate replicas of a structure until all have broken or all steps are made.

    Called again on the same folder after a kill, it goes on after the last whole part; the result is the same bit for
    bit as without the kill.

    Parameters
    ----------
    model
        A model of energies; its dtype is that of the simulation.
    atoms
        Where every replica starts.
    folder
        What happens is written here.
    options, criteria
        Settings; the defaults if None.
    reference
        Trajectory whose mean bond lengths are the reference; the structure's own if None.
    report
        Called with the progress after every frame.

    Raises
    ------
    InputError
        If structure, model or reference cannot be used, the folder holds a run with other settings, or the start is
        broken already.
    """
    options, criteria = options or MDOptions(), criteria or Criteria()
    bonds = check_start(model, atoms, reference)
    with alone_in(folder):
        _claim(folder, _fingerprint(model, atoms, options, criteria, bonds), options)
        run = _Run(model, atoms, folder, options, criteria, bonds)
        run.run_to_end(report or (lambda *_: None))
        return run.result()


def check_start(model: AnyModel, atoms: ase.Atoms, reference: list[ase.Atoms] | None = None) -> BondReference:
    """The bonds to watch, once it is clear that the structure can be simulated; nothing is written.

    Raises
    ------
    InputError
        If the model predicts no energy, the structure cannot be used, it or the reference is periodic, or the reference
        is of another molecule.
    """
    energy_unit(model)
    check_molecule(atoms, "md")
    for number, frame in enumerate(reference or ()):
        check_molecule(frame, f"the reference of md (frame {number})")
    check_atoms(atoms)
    model.check_elements(atoms)
    model.predict(atoms)  # refuses what is not finite, or cannot be an energy
    return bond_reference(atoms, reference)


class _Run:
    def __init__(
        self,
        model: AnyModel,
        atoms: ase.Atoms,
        folder: Path,
        options: MDOptions,
        criteria: Criteria,
        bonds: BondReference,
    ) -> None:
        self.folder, self.options, self.criteria, self.bonds = folder, options, criteria, bonds
        self.numbers = atoms.numbers
        self.replicas = Replicas(model, atoms, options)
        n = options.n_replicas
        self.frame, self.part, self.seconds = 0, 0, 0.0
        self.broke_at = np.full(n, -1)  # frame of the first break
        self.pair = np.full(n, -1)
        self.kind = np.full(n, "", dtype="<U16")
        self.earlier = np.full(n, np.inf)
        self.rows: list[dict[str, np.ndarray]] = []
        stored = folder / _CHECKPOINT
        if stored.is_file():
            with reading(stored, "it is not the state of this simulation: name another folder"):
                self._restore(load_state(stored))
            self._parts()  # damaged ones are named before hours of simulation follow
        else:
            self._record(self.replicas.snapshot())
            if (self.broke_at >= 0).any():
                pair = bonds.pairs[self.pair[0]].tolist() if self.pair[0] >= 0 else None
                raise NothingDone(
                    f"the structure breaks the criteria before any step (bond {pair} is off by more than "
                    f"{criteria.bond_deviation} Å); give a structure near equilibrium, or another reference"
                )

    def run_to_end(self, report: Report) -> None:
        total, step = self.options.n_frames, self.options.interval
        while self.frame < total and len(self.replicas.running):
            start = time.perf_counter()
            self.replicas.advance(step)
            self.frame += 1
            self._record(self.replicas.snapshot())
            self._drop_finished()
            spent = time.perf_counter() - start
            self.seconds += spent
            if len(self.rows) >= FRAMES_PER_PART:
                self._write_part()
            running = len(self.replicas.running)
            nanoseconds = 1e-6 * step * self.options.timestep * max(running, 1)
            report(self.frame, total, running, nanoseconds / spent * 86_400)
        if self.rows:
            self._write_part()

    def result(self) -> Simulation:
        observables = pl.concat(self._parts()).sort("replica", "time_ps")
        observables.write_parquet(self.folder / "observables.parquet")
        return Simulation(self.folder, self._fates(), self.bonds, observables, self.seconds)

    def _parts(self) -> list[pl.DataFrame]:
        """Observables of all parts that were written, in order."""
        parts = []
        for path in sorted(self.folder.glob("observables-*.parquet")):
            with reading(path, _AGAIN):
                parts.append(pl.read_parquet(path).select(*_OBSERVABLES).cast(pl.Schema(_OBSERVABLES)))
        frames = sum(path.is_file() for path in self.folder.glob("frames-*.npz"))
        if min(len(parts), frames) < self.part:
            raise InputError(
                f"{self.folder}: has {min(len(parts), frames)} parts of {self.part} that were written; {_AGAIN}"
            )
        return parts

    def _time(self, frame: int) -> float:
        return 1e-3 * frame * self.options.interval * self.options.timestep

    def _record(self, snapshot: Snapshot) -> None:
        mine = self.replicas.running
        temperatures = snapshot.temperatures
        check = check_frames(
            snapshot.positions, temperatures, self.earlier[mine], self.numbers, self.bonds, self.criteria
        )
        self._note(check, mine)
        self.earlier[mine] = np.where(np.isfinite(temperatures), temperatures, np.inf)
        self.rows.append(
            {
                "replica": mine.copy(),
                "time_ps": np.full(len(mine), self._time(self.frame)),
                "potential_eV": snapshot.potential,
                "kinetic_eV": snapshot.kinetic,
                "temperature_K": temperatures,
                "sound": self.broke_at[mine] < 0,
                "positions": snapshot.positions.astype(np.float32),
                "velocities": snapshot.velocities.astype(np.float32),
            }
        )

    def _note(self, check: FrameCheck, mine: np.ndarray) -> None:
        first = check.failed & (self.broke_at[mine] < 0)
        self.broke_at[mine[first]] = self.frame
        self.pair[mine[first & check.broken]] = check.worst_bond[first & check.broken]
        broken = self.broke_at[mine] >= 0
        # The last state after the break names it; an explosion stays one.
        was_explosion = self.kind[mine] == Break.EXPLOSION.value
        kind = np.where(check.hydrogen_lost, Break.HYDROGEN_LOSS.value, Break.BOND.value)
        kind = np.where(check.exploded | was_explosion, Break.EXPLOSION.value, kind)
        self.kind[mine[broken]] = kind[broken]

    def _drop_finished(self) -> None:
        mine = self.replicas.running
        over = self.frame - self.broke_at[mine] >= self.options.frames_after_break
        exploded = self.kind[mine] == Break.EXPLOSION.value
        self.replicas.keep(np.flatnonzero((self.broke_at[mine] < 0) | ~(over | exploded)))

    def _fates(self) -> tuple[Fate, ...]:
        fates = []
        for replica, frame in enumerate(self.broke_at.tolist()):
            if frame < 0:
                fates.append(Fate(replica, self._time(self.frame)))
                continue
            row = int(self.pair[replica])
            pair = tuple(self.bonds.pairs[row].tolist()) if row >= 0 else None
            fates.append(Fate(replica, self._time(frame), Break(str(self.kind[replica])), pair))
        return tuple(fates)

    def _write_part(self) -> None:
        columns = {name: np.concatenate([row[name] for row in self.rows]) for name in self.rows[0]}
        arrays = {name: columns.pop(name) for name in ("positions", "velocities")}
        arrays |= {"replica": columns["replica"], "time_ps": columns["time_ps"]}
        name = f"{self.part:05d}"
        try:
            with atomic_file(self.folder / f"frames-{name}.npz") as path, path.open("wb") as file:
                np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
            with atomic_file(self.folder / f"observables-{name}.parquet") as path:
                pl.DataFrame(columns).write_parquet(path)
            self.part, self.rows = self.part + 1, []
            save_state(self.folder / _CHECKPOINT, self._stored())
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{self.folder}: {reason}; the parts written so far can be read") from error

    def _stored(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in (*_NUMBERS, *_OF_REPLICAS)}
        return {**state, "kind": self.kind.tolist(), "replicas": self.replicas.store()}

    def _restore(self, stored: dict[str, Any]) -> None:
        self.replicas.restore(stored["replicas"])
        self.frame = whole(stored["frame"], 0, self.options.n_frames)
        self.part = whole(stored["part"], 0, self.frame)
        self.seconds = float(stored["seconds"])
        for name in _OF_REPLICAS:
            now = getattr(self, name)
            value = np.asarray(stored[name], dtype=now.dtype)
            setattr(self, name, value.reshape(now.shape).copy())
        self.kind[:] = [Break(kind).value if kind else "" for kind in stored["kind"]]
        # Parts that were written after the checkpoint are made again; hidden files are what a kill left of some.
        for path in self.folder.glob("[!.]*-?????.*"):
            if int(path.stem.rsplit("-", 1)[1]) >= self.part:
                path.unlink()


def _fingerprint(
    model: AnyModel, atoms: ase.Atoms, options: MDOptions, criteria: Criteria, bonds: BondReference
) -> str:
    digest = hashlib.sha256(json.dumps([options.as_dict(), vars(criteria)], sort_keys=True).encode())
    if isinstance(model, OpenedModel):
        digest.update(model.origin.digest().encode())
    else:
        for name, value in sorted(model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().numpy().tobytes())
    for array in (atoms.numbers, atoms.positions, atoms.cell.array, bonds.lengths):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _claim(folder: Path, fingerprint: str, options: MDOptions) -> None:
    path = folder / _SETTINGS
    try:
        _, other = claim(path, {"fingerprint": fingerprint}, {"options": options.as_dict()})
    except ValueError as error:
        raise InputError(f"{path}: cannot be read; name another folder") from error
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; name another folder") from error
    if other:
        raise InputError(f"{folder}: holds a simulation with another model, structure or settings; name another folder")
