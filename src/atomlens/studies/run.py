"""`run_study`: every model through every stage, on one process or many, then one table, its statistics and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from atomlens.analyses.storage import to_plain
from atomlens.models import load_model
from atomlens.report.resuming import open_run, write_text
from atomlens.report.run import PAGE
from atomlens.report.summary import package_versions
from atomlens.report.writing import MARK
from atomlens.structures import read_structures
from atomlens.studies.correlation import Association, associations
from atomlens.studies.member import run_member
from atomlens.studies.page import study_page
from atomlens.studies.plan import Member, StudyConfig, read_study, settings_of
from atomlens.studies.rivals import disagreement

SCHEMA = 1
# Frames on which models of an ensemble are compared.
N_COMPARED = 10


@dataclass(frozen=True)
class StudyRun:
    """What a finished study leaves in memory.

    Attributes
    ----------
    folder
        Where everything was written.
    table
        One row a model.
    associations
        How each predictor goes with survival.
    """

    folder: Path
    table: pl.DataFrame
    associations: list[Association]


def run_study(
    path: str | Path,
    out: Path,
    *,
    n_workers: int = 1,
    scheduler: str | None = None,
    report: Callable[[str], None] = lambda line: None,
    command: str = "",
    overwrite: bool = False,
) -> StudyRun:
    """Train, analyse, score and simulate all models of a study.

    Every stage of every model is kept, so a study that was stopped goes on when it is called again.

    Parameters
    ----------
    path
        TOML file, see `StudyConfig`.
    out
        Folder to write.
    n_workers, scheduler
        Processes of this machine, or the address of a Dask scheduler; needs the extra ``dask`` for more than one.
    report
        Told each stage and each finished model.
    command
        Command line, for the page's foot.
    overwrite
        Whether a run of ours in `out` may be replaced.

    Raises
    ------
    InputError
        If the study or `out` cannot be used.
    """
    path = Path(path)
    config, members = read_study(path)
    home = path.parent.resolve()
    settings = {"study": config.name, **settings_of(config), "models": [member.config for member in members]}
    folder = open_run(out, to_plain(settings), overwrite).resolve()
    rows: dict[str, dict[str, Any]] = {}
    for name, row in _rows(config, members, folder, home, n_workers, scheduler, report):
        rows[name] = row
        report(f"{name}: done, {len(rows)} of {len(members)}")
    table = pl.DataFrame([rows[member.name] for member in members], infer_schema_length=None)
    table = _with_disagreement(table, config, members, folder, home)
    found = associations(table)
    table.write_parquet(folder / "models.parquet")
    table.write_csv(folder / "models.csv")
    write_text(folder / PAGE, study_page(config, table, found, command))
    summary = {
        "schema": SCHEMA,
        "what": "models of a study: errors, deviation score, rivals, and how long simulations last",
        "versions": package_versions(),
        "command": command,
        "settings": settings,
        "associations": found,
        "models": table.to_dicts(),
    }
    text = json.dumps(to_plain(summary), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / MARK, text + "\n")
    return StudyRun(folder, table, found)


def _rows(
    config: StudyConfig,
    members: tuple[Member, ...],
    folder: Path,
    home: Path,
    n_workers: int,
    scheduler: str | None,
    report: Callable[[str], None],
) -> Iterator[tuple[str, dict[str, Any]]]:
    asked = (home, config.analysis, config.simulation)
    if n_workers == 1 and scheduler is None:
        for member in members:
            yield member.name, run_member(member, folder / "models" / member.name, *asked, report)
        return
    from dask.distributed import Client, LocalCluster, as_completed

    cluster = scheduler or LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")
    with Client(cluster) as client:
        futures = {
            client.submit(run_member, member, folder / "models" / member.name, *asked, pure=False): member.name
            for member in members
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def _with_disagreement(
    table: pl.DataFrame, config: StudyConfig, members: tuple[Member, ...], folder: Path, home: Path
) -> pl.DataFrame:
    """Add the disagreement of models that differ in their seed only."""
    structures = read_structures(home / config.analysis.path, config.analysis.frames)[:N_COMPARED]
    ensembles: dict[str, list[Member]] = {}
    for member in members:
        alike = {axis: value for axis, value in member.axes.items() if axis != "seed"}
        ensembles.setdefault(json.dumps(alike, sort_keys=True), []).append(member)
    value_of: dict[str, float] = {}
    for ensemble in ensembles.values():
        paths = [folder / "models" / member.name / "train" / "model.safetensors" for member in ensemble]
        models = [load_model(path, dtype=torch.float64) for path in paths]
        value = disagreement(models, structures)
        value_of |= {member.name: value for member in ensemble}
    values = [value_of[name] for name in table["model"]]
    return table.with_columns(pl.Series("disagreement", values, dtype=pl.Float64).fill_nan(None))
