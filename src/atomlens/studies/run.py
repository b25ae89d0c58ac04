"""`run_study`: every model through every stage, on one process or many, then one table, its statistics and a page."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from atomlens.analyses import common_deviations
from atomlens.folders import (
    MARK,
    MARKER,
    PAGE,
    RUN_FILES,
    atomic_file,
    below,
    open_run,
    read_json,
    read_toml,
    resumes,
    started_settings,
    to_plain,
    write_text,
)
from atomlens.potentials import load_potential
from atomlens.runs import MD_FILES, analysis_files
from atomlens.structures import InputError, read_structures
from atomlens.studies.correlation import ENSEMBLE, Association, associations
from atomlens.studies.grid import Member
from atomlens.studies.inputs import simulation_warnings
from atomlens.studies.member import CONFIG, run_member
from atomlens.studies.page import study_page
from atomlens.studies.plan import StudyConfig, md_options, read_study, settings_of, with_product_rule
from atomlens.studies.rivals import disagreement
from atomlens.studies.stages import NOTE, ROW, settle_stages
from atomlens.surveys import dask_client
from atomlens.tables import package_versions
from atomlens.training import TRAINING_FILES, TrainingError

SCHEMA = 1
# Parts of the deviation score stand in columns of this name.
_PART = "deviation/"
# Frames on which models of an ensemble are compared.
N_COMPARED = 10
# What one model may fail of; `InputError` is a ValueError, `TrainingError` a RuntimeError as torch's own are.
_FAILURES = (OSError, RuntimeError, ValueError, ArithmeticError, MemoryError)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def study_files() -> tuple[str, ...]:
    """Patterns of all files that a study writes besides page and summary."""
    one = (
        ROW,
        NOTE,
        CONFIG,
        *below("train", (MARKER, *TRAINING_FILES)),
        *below("analysis", (*RUN_FILES, *analysis_files())),
        *below("md", (*RUN_FILES, *MD_FILES)),
    )
    return ("models.parquet", "models.csv", *below("models/*", one))


@dataclass(frozen=True)
class StudyRun:
    """What a finished study leaves in memory.

    Attributes
    ----------
    folder
        Where everything was written.
    table
        One row per model.
    associations
        How each predictor goes with survival.
    failed
        Models that could not be taken through all stages, and why.
    """

    folder: Path
    table: pl.DataFrame
    associations: list[Association]
    failed: dict[str, str]


def run_study(
    path: str | Path,
    out: Path,
    *,
    n_workers: int = 1,
    scheduler: str | None = None,
    report: Callable[[str], None] = lambda line: None,
    command: str = "",
    overwrite: bool = False,
    device: torch.device | str | None = None,
) -> StudyRun:
    """Train, analyse, score and simulate all models of a study.

    Every stage of every model is kept, so a study that was stopped goes on when it is called again, and one whose grid
    has grown (by a seed, say) makes the models that it lacks. One that is not finished may change its analysis or its
    simulation: trainings are kept, and what depends on the change is made again.

    Parameters
    ----------
    path
        TOML file, see `StudyConfig`.
    out
        Folder to write.
    n_workers, scheduler
        Processes of this machine, or the address of a Dask scheduler; needs the extra ``dask`` for more than one.
    report
        Called with each stage and each finished model.
    command
        Command line, for the page's foot.
    overwrite
        Whether a run of ours in `out` may be replaced.
    device
        Where models are trained, explained and simulated; the CPU if None.

    Raises
    ------
    InputError
        If the study or `out` cannot be used, data have changed since a model was trained on them, all models failed, or
        disk or memory ran out.
    """
    path = Path(path)
    config, members = read_study(path)
    started = {} if overwrite else started_settings(out)
    config = with_product_rule(config, started)
    home = path.parent.resolve()
    asked = {"study": config.name, **settings_of(config)}
    # Stages say themselves what they were made from, so a study may go on with other analyses and simulations.
    goes_on = started if started.get("study") == config.name else to_plain(asked)
    grows = not _finished(out, members)
    with _telling_what_ran_out(out, overwrite), open_run(out, goes_on, study_files(), overwrite, grows=grows) as opened:
        folder = opened.resolve()
        _check_the_same(out, members)
        settle_stages(out, config, members, started, home, report)
        doubts = simulation_warnings(config, md_options(config.simulation), home)
        for doubt in doubts:
            report(f"warning: {doubt}")
        rows: dict[str, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        asked_of_rows = (n_workers, scheduler, report, str(device or "cpu"), overwrite)
        for name, row in _rows(config, members, folder, home, *asked_of_rows):
            if isinstance(row, str):
                failed[name] = row
            else:
                rows[name] = row
            report(
                f"{name}: {'failed, ' + row if isinstance(row, str) else 'done'}; {len(rows)} of {len(members)} done"
            )
        members = tuple(member for member in members if member.name in rows)
        if not members:
            raise InputError(
                f"all {len(failed)} models failed; the first, {next(iter(failed))}: {next(iter(failed.values()))}"
            )
        table = pl.DataFrame([rows[member.name] for member in members], infer_schema_length=None)
        check_one_range(table)
        table, common = _with_common_score(table)
        table = _with_disagreement(table, config, members, folder, home)
        found = associations(table)
        with atomic_file(folder / "models.parquet") as part:
            table.write_parquet(part)
        with atomic_file(folder / "models.csv") as part:
            table.write_csv(part)
        write_text(folder / PAGE, study_page(config, table, found, failed, command, common, doubts))
        summary = {
            "schema": SCHEMA,
            "what": "models of a study: errors, deviation score, rivals, and how long simulations last",
            "versions": package_versions(),
            "command": command,
            "settings": {**asked, "models": [member.config for member in members]},
            "deviation_parts": common,
            "associations": found,
            "models": table.to_dicts(),
            "failed": failed,
            "warnings": doubts,
        }
        text = json.dumps(to_plain(summary), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(folder / MARK, text + "\n")
        return StudyRun(folder, table, found, failed)


@contextmanager
def _telling_what_ran_out(out: Path, overwrite: bool) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError) as error:
        if not (short := _ran_out(error)):
            raise
        raise InputError(f"--out {out}: {short}; make room, then {resumes(overwrite)}") from error


def _finished(out: Path, members: tuple[Member, ...]) -> bool:
    """Whether the summary, which is written last, is that of these models and no others.

    Their rows do not tell: a study that has grown has all of them before it has its table.
    """
    try:
        stored = {config["name"]: config for config in read_json(out / MARK)["settings"]["models"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return stored == {member.config["name"]: to_plain(member.config) for member in members}


def _check_the_same(out: Path, members: tuple[Member, ...]) -> None:
    """No model may be taken for one of the same name with other settings; what it is called decides nothing."""
    for member in members:
        path = out / "models" / member.name / CONFIG
        if path.exists() and read_toml(path) | {"name": ""} != member.config | {"name": ""}:
            raise InputError(
                f"--out {out}: holds a model {member.name} of other settings; "
                "name another folder, or add --overwrite (a grid may grow, what its models share must stay)"
            )


def _rows(
    config: StudyConfig,
    members: tuple[Member, ...],
    folder: Path,
    home: Path,
    n_workers: int,
    scheduler: str | None,
    report: Callable[[str], None],
    device: str,
    overwrite: bool = False,
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Every model's row, or why there is none: one that diverged does not end the study."""
    asked = (home, config.analysis, config.simulation)
    if n_workers == 1 and scheduler is None:
        for member in members:
            try:
                yield member.name, run_member(member, folder / "models" / member.name, *asked, report, device)
            except _FAILURES as error:
                yield member.name, _reason(member.name, error, overwrite)
        return
    with ExitStack() as stack:
        client = dask_client(stack, n_workers, scheduler)
        from dask.distributed import KilledWorker, as_completed

        futures = {
            client.submit(
                run_member, member, folder / "models" / member.name, *asked, device=device, pure=False
            ): member.name
            for member in members
        }
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except (*_FAILURES, KilledWorker) as error:
                yield futures[future], _reason(futures[future], error, overwrite)


def _reason(name: str, error: Exception, overwrite: bool) -> str:
    """Why a model has no row, in one line.

    Raises
    ------
    InputError
        If disk or memory ran out: that is no fault of this model, and the next ones would fail of it, too.
    """
    if short := _ran_out(error):
        raise InputError(f"{name}: {short}; make room, then {resumes(overwrite)}") from error
    line = next(iter(str(error).splitlines()), "").strip() or "no further word"
    return line if isinstance(error, InputError | TrainingError) else f"{type(error).__name__}: {line}"


def _ran_out(error: BaseException | None) -> str:
    """Which of disk and memory ran out, in this error or in what it came from; empty if neither did."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return f"the disk is full ({error.strerror})"
        # torch has a class for devices only; errors of the processor's memory are words only.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            return "out of memory"
        error = error.__cause__
    return ""


def check_one_range(table: pl.DataFrame) -> None:
    """All models must be scored over one range of distances; those whose cutoff leaves none have no such score.

    Raises
    ------
    InputError
        If they are not.
    """
    scored = table.filter(pl.col("range_high") > pl.col("range_low"))
    ranges = scored.select("range_low", "range_high").unique(maintain_order=True).rows()
    if len(ranges) > 1:
        one, other = (f"{low:g} to {high:g} Å" for low, high in ranges[:2])
        raise InputError(
            f"models are scored over different distances ({one}, {other}), and scores over different ranges cannot be "
            "compared; give nearest and farthest in [analysis] and another --out"
        )


def _with_common_score(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The table with ``deviation`` from the parts that all models have, and ``n_parts``, how many each has; and which.

    A row holds the score of its model alone, over whatever could be measured of it.
    """
    rows = table.select(pl.selectors.starts_with(_PART)).to_dicts()
    parts = [{name.removeprefix(_PART): d for name, d in row.items()} for row in rows]
    scores, common = common_deviations(parts)
    counts = [sum(d is not None and math.isfinite(d) for d in row.values()) for row in rows]
    score = pl.Series("deviation", scores, dtype=pl.Float64).fill_nan(None)
    table = table.with_columns(score)
    return table.insert_column(table.get_column_index("deviation") + 1, pl.Series("n_parts", counts)), common


def _with_disagreement(
    table: pl.DataFrame, config: StudyConfig, members: tuple[Member, ...], folder: Path, home: Path
) -> pl.DataFrame:
    """Add which models differ in their seed only, ``ensemble``, and how much these disagree."""
    structures = read_structures(home / config.analysis.path, config.analysis.frames)[:N_COMPARED]
    ensembles: dict[str, list[Member]] = {}
    for member in members:
        alike = {axis: value for axis, value in member.axes.items() if axis != "seed"}
        ensembles.setdefault(json.dumps(alike, sort_keys=True), []).append(member)
    value_of: dict[str, float] = {}
    number_of: dict[str, int] = {}
    for number, ensemble in enumerate(ensembles.values()):
        paths = [folder / "models" / member.name / "train" / "model.safetensors" for member in ensemble]
        models = [load_potential(path, dtype=torch.float64) for path in paths]
        value = disagreement(models, structures)
        value_of |= {member.name: value for member in ensemble}
        number_of |= {member.name: number for member in ensemble}
    return table.with_columns(
        pl.Series("disagreement", [value_of[name] for name in table["model"]], dtype=pl.Float64).fill_nan(None),
        pl.Series(ENSEMBLE, [number_of[name] for name in table["model"]]),
    )
