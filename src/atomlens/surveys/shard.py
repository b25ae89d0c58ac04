"""One shard: a few hundred structures explained, and their tables in a folder that is complete or not there."""

from __future__ import annotations

import json
import shutil
import uuid
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import ase
import numpy as np
import polars as pl

from atomlens.folders import read_json, reading, whole
from atomlens.interactions import BatchExplanation, explain_batch, explain_graphs
from atomlens.models import Potential, impossible, one_thread
from atomlens.potentials import AnyModel, OpenedModel, Origin, load_model, load_potential
from atomlens.structures import AtomGraph, InputError, check_regular
from atomlens.surveys.sources import StructureSource
from atomlens.surveys.stream import write_table
from atomlens.tables import batch_rows, batch_tables, batch_walks

SHARDS, MODEL, SKIPPED = "shards", "model.safetensors", "skipped"
_NOTE = "shard.json"


@dataclass(frozen=True)
class ShardSettings:
    """What is asked of every structure."""

    levels: tuple[str, ...]
    rule: str
    product_rule: str
    max_order: int
    top_walks: int


@dataclass(frozen=True)
class ShardTask:
    """What a worker needs to know.

    Attributes
    ----------
    folder
        Folder of the run, which every worker sees; it holds the model.
    model_digest
        Digest of the model's file, so that no worker uses one that it remembers from another run.
    number, first
        Number of the shard, and of its first frame.
    structures
        The shard's structures.
    settings
        What to compute.
    origin
        File of a model of another library; None for ours, whose file is in `folder`.
    device
        Where models of ours compute.
    """

    folder: Path
    model_digest: str
    number: int
    first: int
    structures: StructureSource
    settings: ShardSettings
    origin: Origin | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class ShardReport:
    """How many structures of a shard were explained and how many could not be, and why the first could not."""

    n_done: int
    n_skipped: int
    reason: str


def shard_folder(folder: Path, number: int) -> Path:
    """Folder of a shard of a run."""
    return folder / SHARDS / f"{number:06d}"


def make_shard(task: ShardTask) -> ShardReport:
    """Explain the structures of a shard and write their tables, on one thread.

    Where another process finished the same shard meanwhile, that one stays: both hold the same.
    """
    target = shard_folder(task.folder, task.number)
    part = target.with_name(f".{target.name}.part-{uuid.uuid4().hex}")
    part.mkdir(parents=True)
    try:
        with one_thread():
            tables = _tables(task)
        files = {name: write_table(table, part / f"{name}.parquet") for name, table in tables.items()}
        skipped = tables[SKIPPED]
        report = {
            "n_done": len(task.structures) - skipped.height,
            "n_skipped": skipped.height,
            "reason": skipped["reason"][0] if skipped.height else "",
        }
        checks = {name: _check(path) for name, path in files.items()}
        (part / _NOTE).write_text(json.dumps({"report": report, "files": checks}))
        try:
            part.rename(target)
        except OSError:
            if not (target / _NOTE).is_file():
                raise
        return ShardReport(**report)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def finished_shard(folder: Path, number: int, size: int, levels: tuple[str, ...]) -> ShardReport | None:
    """What a finished shard of `size` structures holds, with the tables of some levels.

    None, and nothing left of it, where a file is missing or not as it was written: it is made again.
    """
    target = shard_folder(folder, number)
    with suppress(InputError), reading(target, "make it again"):
        note = read_json(target / _NOTE)
        done = whole(note["report"]["n_done"], 0, size)
        skipped = whole(note["report"]["n_skipped"], size - done, size - done)
        report = ShardReport(done, skipped, str(note["report"]["reason"]))
        names = (*levels, SKIPPED) if done else (SKIPPED,)
        if all(_check(target / f"{name}.parquet") == note["files"][name] for name in names):
            return report
    if target.is_symlink() or target.is_file():
        target.unlink()
    shutil.rmtree(target, ignore_errors=True)
    return None


def _check(path: Path) -> list[int]:
    check_regular(path)  # a device would never end
    data = path.read_bytes()
    return [len(data), zlib.crc32(data)]


@lru_cache(maxsize=2)
def _model(path: Path, digest: str, origin: Origin | None, device: str) -> AnyModel:
    if origin is None:
        potential = load_potential(path)
        return potential.converted(potential.dtype, device)
    model = load_model(origin.name, energy_unit=origin.energy_unit, trust=origin.trust)
    if origin.digest() != digest:
        raise InputError(f"{origin.name}: changed since the run began; begin another one")
    return model.untrained(origin.shuffled) if origin.shuffled is not None and isinstance(model, OpenedModel) else model


def _tables(task: ShardTask) -> dict[str, pl.DataFrame]:
    model, settings = _model(task.folder / MODEL, task.model_digest, task.origin, task.device), task.settings
    skipped: dict[int, tuple[str, str]] = {}
    frames: list[int] = []
    structures: list[ase.Atoms] = []
    graphs: list[AtomGraph | None] = []
    for frame, atoms in enumerate(task.structures[:], start=task.first):
        try:
            if isinstance(atoms, InputError):
                raise atoms
            model.check_elements(atoms)
            graph = model.graph(atoms) if isinstance(model, Potential) else None
        except InputError as error:
            name = "" if isinstance(atoms, InputError) else _formula(atoms)
            skipped[frame] = (name, str(error))
            continue
        frames.append(frame)
        structures.append(atoms)
        graphs.append(graph)
    tables: dict[str, pl.DataFrame] = {}
    if batch := _explained(model, structures, graphs, settings):
        reasons = _impossible(batch)
        good = np.array([not reason for reason in reasons])
        for k in np.flatnonzero(~good).tolist():
            reason = f"the model predicts what cannot be a result: {reasons[k]}"
            skipped[frames[k]] = (_formula(structures[k]), reason)
        if not good.all():  # rare, so the others are simply done again
            kept = np.flatnonzero(good).tolist()
            frames, structures = [frames[k] for k in kept], [structures[k] for k in kept]
            graphs = [graphs[k] for k in kept]
            batch = _explained(model, structures, graphs, settings)
    if batch:
        rows = batch_rows(structures, np.array(frames))
        tables = {name: table for name, table in batch_tables(rows, batch).items() if name in settings.levels}
        if "walks" in settings.levels:
            rules = {"rule": settings.rule, "product_rule": settings.product_rule}
            tables["walks"] = batch_walks(rows, model, batch.unit, count=settings.top_walks, **rules)
    return {**tables, SKIPPED: _skipped(skipped)}


def _explained(
    model: AnyModel, structures: list[ase.Atoms], graphs: list[AtomGraph | None], settings: ShardSettings
) -> BatchExplanation | None:
    if not structures:
        return None
    rules = (settings.rule, settings.product_rule)
    with warnings.catch_warnings():
        # A structure without finite terms is reported in its own place.
        warnings.simplefilter("ignore", RuntimeWarning)
        if isinstance(model, Potential):
            made = [graph for graph in graphs if graph is not None]
            return explain_graphs(model, made, *rules, max_order=settings.max_order)
        return explain_batch(model, structures, *rules, max_order=settings.max_order)


def _impossible(batch: BatchExplanation) -> list[str]:
    with np.errstate(invalid="ignore"):  # what is not finite is reported as such
        scales = np.abs(batch.predictions - batch.constants)
        residuals = batch.residuals + 0.0 * batch.remainders  # not finite where either is not
    rows = zip(batch.predictions, np.diff(batch.starts), residuals, scales, strict=True)
    return [impossible(float(y), int(n), batch.unit, float(r), float(s), "float64") for y, n, r, s in rows]


def _formula(atoms: ase.Atoms) -> str:
    known = (atoms.numbers >= 0) & (atoms.numbers <= 118)
    return atoms.get_chemical_formula() if known.all() else ""


def _skipped(skipped: dict[int, tuple[str, str]]) -> pl.DataFrame:
    frames = sorted(skipped)
    return pl.DataFrame(
        {
            "frame": pl.Series(frames, dtype=pl.Int32),
            "formula": pl.Series([skipped[frame][0] for frame in frames], dtype=pl.String),
            "reason": pl.Series([skipped[frame][1] for frame in frames], dtype=pl.String),
        }
    )
