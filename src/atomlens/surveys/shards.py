"""`survey_structures`: tables of all explained structures of a data set, however large, however often interrupted.

    survey_structures(model, source, folder, *, levels=None, rule="gate", product_rule=None, max_order=2,
                      top_walks=50, n_workers=1, scheduler=None, shard_size=128, progress=no_progress) -> SurveyResult

Structures are explained in shards, each a folder of Parquet files that is complete or not there; at the end they are
joined to one file per table. What is finished stays finished, whatever happens to the process.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from atomlens.chain import make_rule
from atomlens.folders import alone_in, claim, noted, reading, whole, write_text
from atomlens.interactions import check_order
from atomlens.models import Potential, save_model
from atomlens.potentials import AnyModel, OpenedModel, Origin, load_model
from atomlens.recording import DEFAULT_PRODUCT_RULE, check_product_rule
from atomlens.structures import InputError, NothingDone
from atomlens.surveys.progress import Progress, no_progress
from atomlens.surveys.shard import (
    MODEL,
    SHARDS,
    SKIPPED,
    ShardReport,
    ShardSettings,
    ShardTask,
    finished_shard,
    shard_folder,
)
from atomlens.surveys.sources import StructureSource, XyzFrames, fingerprint
from atomlens.surveys.stream import merge_tables
from atomlens.surveys.workers import work

LEVELS = ("frames", "atoms", "pairs", "triples", "walks")
STATE = "survey.json"
# Patterns of all files that a survey writes.
SURVEY_FILES = (
    STATE,
    MODEL,
    f".{MODEL}",
    *(f"{name}.parquet" for name in (*LEVELS, SKIPPED)),
    f"{SHARDS}/??????/shard.json",
    *(f"{SHARDS}/??????/{name}.parquet" for name in (*LEVELS, SKIPPED)),
)
_FORMAT = 1


@dataclass(frozen=True)
class SurveyResult:
    """Tables of a data set: ``folder/<level>.parquet``, and ``folder/skipped.parquet`` (frame, formula, reason)."""

    folder: Path
    n_done: int
    n_skipped: int


def survey_structures(
    model: AnyModel | str | Path,
    source: StructureSource | str | Path,
    folder: str | Path,
    *,
    levels: Sequence[str] | None = None,
    rule: str = "gate",
    product_rule: str | None = None,
    max_order: int = 2,
    top_walks: int = 50,
    n_workers: int = 1,
    scheduler: str | None = None,
    shard_size: int = 128,
    progress: Progress = no_progress,
) -> SurveyResult:
    """Explain all structures of a data set into one Parquet file a table.

    After a kill at any moment the same call goes on. A structure that cannot be explained (not finite, of an element
    that the model never saw, ...) is listed in ``skipped.parquet``. Numbers depend neither on the workers nor on
    interruptions: shards are the same, and each is computed in float64 on one thread.

    Parameters
    ----------
    model
        A model, or what `load_potential` takes.
    source
        Structures: a list, anything like it (`StructureSource`), or the path of an xyz file.
    folder
        Folder to write; every worker must see it.
    levels
        Which tables, of frames, atoms, pairs, triples, walks; all that `max_order` allows but walks where None.
    rule, product_rule
        As for `explain`; a product rule of None is that of the run in the folder, where there is one.
    max_order
        Highest order of the terms, 1 to 3; what is above is each frame's ``remainder``.
    top_walks
        How many of the strongest walks of each structure are listed, if ``walks`` are asked for.
    n_workers, scheduler
        Processes of this machine, or the address of a Dask scheduler, ``tcp://host:8786``. Scripts that ask for
        processes need the guard ``if __name__ == "__main__"``.
    shard_size
        Structures a shard.
    progress
        Called with the progress of the work.

    Raises
    ------
    InputError
        If the folder holds a run of another model, other structures or settings, or is in use; if there is no
        structure, or none can be explained.
    ValueError
        If a rule, level or order is not known.
    """
    folder = Path(folder).resolve()
    settings = _settings(levels, rule, product_rule or _own_product_rule(folder), max_order, top_walks)
    source = XyzFrames.of(source) if isinstance(source, str | Path) else source
    if not len(source):
        raise InputError("there is no structure to explain; give at least one")
    if shard_size < 1:
        raise ValueError(f"shard_size is {shard_size}; it must be at least 1")
    potential = load_model(model) if isinstance(model, str | Path) else model
    origin = potential.origin if isinstance(potential, OpenedModel) else None
    device = str(potential.device) if isinstance(potential, Potential) else "cpu"
    with _alone_in(folder):
        digest = _write_model(potential, folder) if isinstance(potential, Potential) else potential.origin.digest()
        asked = {"model": digest, "structures": fingerprint(source), "options": _options(settings, shard_size, device)}
        names = [name for name in LEVELS if name in settings.levels] + [SKIPPED]
        state = _opened(folder, asked)
        if (counts := _counts(folder, state, len(source))) and all((folder / f"{n}.parquet").is_file() for n in names):
            _clean(folder)
            return SurveyResult(folder, *counts)
        reports = _all_shards(
            folder, (digest, origin, device), source, settings, shard_size, (n_workers, scheduler), progress
        )
        n_done, n_skipped = sum(r.n_done for r in reports), sum(r.n_skipped for r in reports)
        if not n_done:
            raise NothingDone(f"none of the {n_skipped} structures can be explained; the first: {reports[0].reason}")
        progress("join tables", n_done + n_skipped, len(source))
        for name in names:
            parts = (shard_folder(folder, k) / f"{name}.parquet" for k in range(len(reports)))
            merge_tables((part for part in parts if part.is_file()), folder / f"{name}.parquet")
        done = {"complete": True, "tables": names, "n_done": n_done, "n_skipped": n_skipped}
        write_text(folder / STATE, json.dumps({**state, **done}, indent=1) + "\n")
        _clean(folder)
    return SurveyResult(folder, n_done, n_skipped)


def _own_product_rule(folder: Path) -> str:
    options = noted(folder / STATE).get("options")
    stored = options.get("product_rule") if isinstance(options, dict) else None
    return stored if isinstance(stored, str) else DEFAULT_PRODUCT_RULE


def _settings(
    levels: Sequence[str] | None, rule: str, product_rule: str, max_order: int, top_walks: int
) -> ShardSettings:
    make_rule(rule, 0.25)
    check_product_rule(product_rule)
    check_order(max_order)
    possible = (*LEVELS[: max_order + 1], "walks")
    chosen = LEVELS[: max_order + 1] if levels is None else tuple(levels)
    for level in chosen:
        if level not in possible:
            raise ValueError(f"level {level!r} with max_order={max_order}: choose from {', '.join(possible)}")
    return ShardSettings(tuple(sorted(set(chosen), key=LEVELS.index)), rule, product_rule, max_order, top_walks)


def _options(settings: ShardSettings, shard_size: int, device: str) -> dict[str, Any]:
    walks = settings.top_walks if "walks" in settings.levels else None
    options = {**asdict(settings), "levels": list(settings.levels), "top_walks": walks, "shard_size": shard_size}
    return {**options, "format": _FORMAT} | ({} if device == "cpu" else {"device": device})


def _all_shards(
    folder: Path,
    model: tuple[str, Origin | None, str],
    source: StructureSource,
    settings: ShardSettings,
    size: int,
    workers: tuple[int, str | None],
    progress: Progress,
) -> list[ShardReport]:
    """Reports of all shards, those that were finished earlier among them, in order."""
    total = len(source)
    first = dict(enumerate(range(0, total, size)))
    sizes = {number: min(size, total - start) for number, start in first.items()}
    found = {number: finished_shard(folder, number, sizes[number], settings.levels) for number in first}
    missing = [number for number, report in found.items() if report is None]

    def tasks() -> Iterator[ShardTask]:
        for number in missing:
            part = source[first[number] : first[number] + size]
            yield ShardTask(folder, model[0], number, first[number], part, settings, model[1], model[2])

    done = earlier = sum(r.n_done + r.n_skipped for r in found.values() if r is not None)
    progress("explain", done, total)
    started = time.perf_counter()
    for report in work(tasks(), *workers):
        done += report.n_done + report.n_skipped
        progress(f"explain{_speed(done - earlier, time.perf_counter() - started)}", done, total)
    reports = [report or finished_shard(folder, k, sizes[k], settings.levels) for k, report in found.items()]
    if None in reports:
        raise OSError(f"shard {reports.index(None)} vanished from {folder}; do the workers see the same folder?")
    return [report for report in reports if report is not None]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes out; sweep what killed writers left."""
    try:
        with alone_in(folder):
            (folder / SHARDS).mkdir(exist_ok=True)
            for stale in (folder / SHARDS).glob(".*.part-*"):
                shutil.rmtree(stale, ignore_errors=True)
            yield
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error


def _write_model(model: Potential, folder: Path) -> str:
    new, bare = folder / f".{MODEL}", copy.copy(model.converted(torch.float64, "cpu"))
    bare.config = replace(model.config, card={})  # where a model was read from does not make it another one
    save_model(bare, new)
    digest = hashlib.sha256(new.read_bytes()).hexdigest()
    if (folder / STATE).is_file() and (folder / MODEL).is_file():
        new.unlink()  # which model the run has is checked by what it noted
    else:
        new.replace(folder / MODEL)
    return digest


def _opened(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The state of the run in a folder, begun now if there is none."""
    try:
        state, what = claim(folder / STATE, asked)
    except (OSError, ValueError) as error:
        if not os.path.lexists(folder / STATE):  # not begun: whoever has claimed the folder reports that
            raise
        raise InputError(
            f"{folder}: {STATE} cannot be read ({error}); delete the folder or name another one"
        ) from error
    if what:
        other = {"model": "another model", "structures": "other structures", "options": "other settings"}[what]
        raise InputError(f"{folder}: holds a run with {other}; name another folder, or delete this one")
    return state


def _counts(folder: Path, state: dict[str, Any], n: int) -> tuple[int, int] | None:
    """How many structures of a finished survey were explained, and how many not; None where it is not finished."""
    if not state.get("complete"):
        return None
    with reading(folder / STATE, "delete the folder, or name another one"):
        done = whole(state["n_done"], 1, n)
        return done, whole(state["n_skipped"], n - done, n - done)


def _clean(folder: Path) -> None:
    shutil.rmtree(folder / SHARDS, ignore_errors=True)


def _speed(count: int, seconds: float) -> str:
    """Structures per second, or seconds per structure, whichever is one or more.

    >>> _speed(120, 10.0), _speed(2, 9.0), _speed(0, 1.0)
    (', 12 per second', ', 4.5 s each', '')
    """
    if count == 0:
        return ""
    return f", {count / seconds:.0f} per second" if count >= seconds else f", {seconds / count:.2g} s each"
