"""Studies that are stopped, grow, or have models that fail."""

from __future__ import annotations

import errno
import json
import math
import re
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.build
import ase.io
import polars as pl
import pytest
import torch

from atomlens import InputError
from atomlens.folders import mark, started_settings

pytest.importorskip("torch_sim", exc_type=ImportError)
pytest.importorskip("tblite", exc_type=ImportError)

from study_plans import PLAN, planned

from atomlens.studies import Member, read_study, run_study
from atomlens.studies import run as study_run
from atomlens.studies.member import run_member
from atomlens.studies.plan import settings_of
from atomlens.studies.stages import settle_stages

pytestmark = pytest.mark.usefixtures("rough_pictures")


def test_a_periodic_start_is_refused_before_a_model_is_trained(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "cell.xyz", ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.1]], cell=[9.0] * 3, pbc=True))
    plan = planned(tmp_path, PLAN.replace('[simulation]\npath = "frames.xyz"', '[simulation]\npath = "cell.xyz"'))
    with pytest.raises(InputError, match="open molecule"):
        run_study(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("few_assemblies")
def test_a_model_that_fails_does_not_end_the_study(tmp_path: Path) -> None:
    grid = PLAN.replace('"model.architecture" = ["schnet", "painn"]', '"fit.lr" = [1e-3, 1e30]')
    path = planned(tmp_path, grid.replace("seed = [1, 2]", "seed = [1]"))
    lines: list[str] = []
    found = run_study(path, tmp_path / "out", report=lines.append)
    assert found.table["model"].to_list() == ["lr0.001-seed1"]
    assert set(found.failed) == {"lr1e+30-seed1"}
    assert "the loss became" in found.failed["lr1e+30-seed1"]
    assert any("lr1e+30-seed1: failed, the loss became" in line for line in lines)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["failed"] == found.failed
    assert "Models that failed" in (tmp_path / "out" / "report.html").read_text()
    hopeless = planned(tmp_path, grid.replace("1e-3, 1e30", "1e30"))
    with pytest.raises(InputError, match="all 2 models failed; the first, lr1e"):
        run_study(hopeless, tmp_path / "hopeless")


def raising(error: BaseException, name: str = "schnet-seed2") -> Any:
    """A stand-in for `run_member` in which one model fails."""

    def run_member(member: Member, *rest: Any, **more: Any) -> dict[str, Any]:
        if member.name == name:
            raise error
        return {"model": member.name}

    return run_member


def rows_of(folder: Path, **more: Any) -> dict[str, Any]:
    config, members = read_study(planned(folder, PLAN.replace('["schnet", "painn"]', '["schnet"]')))
    asked = {"n_workers": 1, "scheduler": None, "report": lambda line: None, "device": "cpu"} | more
    return dict(study_run._rows(config, members, folder, folder, **asked))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "row.json"), "PermissionError: .*Permission denied"),
        (RuntimeError("sizes must match\nsecond line"), "RuntimeError: sizes must match$"),
        (RuntimeError(), "RuntimeError: no further word"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (InputError("no such frame"), "no such frame$"),
    ],
)
def test_what_concerns_one_model_is_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    monkeypatch.setattr(study_run, "run_member", raising(error))
    rows = rows_of(tmp_path)
    assert rows["schnet-seed1"] == {"model": "schnet-seed1"}
    assert re.match(says, rows["schnet-seed2"])


def wrapped(error: Exception) -> InputError:
    """An error as a stage of a study reports it, named in one line."""
    told = InputError("md: cannot be written")
    told.__cause__ = error
    return told


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "schnet-seed2: the disk is full .No space left on device"),
        (wrapped(OSError(errno.ENOSPC, "No space left on device")), "the disk is full"),
        (MemoryError(), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory"),
    ],
)
def test_a_full_disk_or_memory_ends_the_study_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    monkeypatch.setattr(study_run, "run_member", raising(error))
    with pytest.raises(InputError, match=f"{says}.*the same command resumes"):
        rows_of(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), AttributeError("a mistake of ours")])
def test_interrupts_and_mistakes_of_ours_are_nothing_that_a_model_fails_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(study_run, "run_member", raising(error))
    with pytest.raises(type(error)):
        rows_of(tmp_path)


def test_a_model_that_kills_its_workers_does_not_end_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("dask.distributed")
    worker = SimpleNamespace(address="tcp://127.0.0.1:1")

    class Client:
        """Dask's client with nothing behind it."""

        def submit(self, run: Any, *args: Any, pure: bool, **named: Any) -> Future:
            future = Future()
            try:
                future.set_result(run(*args, **named))
            except Exception as error:
                future.set_exception(error)
            return future

    monkeypatch.setattr(study_run, "dask_client", lambda *asked: Client())
    monkeypatch.setattr(distributed, "as_completed", list)
    monkeypatch.setattr(study_run, "run_member", raising(distributed.KilledWorker("task", worker, 3)))
    rows = rows_of(tmp_path, scheduler="tcp://127.0.0.1:1")
    assert rows["schnet-seed1"] == {"model": "schnet-seed1"}
    assert rows["schnet-seed2"].startswith("KilledWorker: Attempted to run task")


class Stopped(Exception):
    """Stands for a kill."""


def stop_at(start: str) -> Callable[[str], None]:
    """A report that stops a study where it says what starts like this."""

    def report(line: str) -> None:
        if line.startswith(start):
            raise Stopped

    return report


@pytest.mark.slow
@pytest.mark.usefixtures("few_assemblies")
def test_a_study_that_grows_and_is_killed_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    text, out = PLAN.replace('["schnet", "painn"]', '["schnet"]'), tmp_path / "out"
    run_study(planned(tmp_path, text.replace("seed = [1, 2]", "seed = [1]")), out)
    rows = [out / "models" / name / "row.json" for name in ("schnet-seed1", "schnet-seed2")]
    old, first = (out / "summary.json").read_text(), rows[0].stat().st_mtime_ns
    path = planned(tmp_path, text)
    with pytest.raises(Stopped):
        run_study(path, out, report=stop_at("schnet-seed2: analyse"))
    weights = out / "models" / "schnet-seed2" / "train" / "model.safetensors"
    trained = weights.stat().st_mtime_ns
    with pytest.raises(Stopped):
        run_study(path, out, report=stop_at("schnet-seed2: done"))
    assert (out / "summary.json").read_text() == old
    before = [row.stat().st_mtime_ns for row in rows]
    found = run_study(path, out)
    assert [row.stat().st_mtime_ns for row in rows] == before
    assert (before[0], weights.stat().st_mtime_ns) == (first, trained)
    assert found.table["model"].to_list() == ["schnet-seed1", "schnet-seed2"]
    assert found.table["disagreement"].null_count() == 0
    assert found.table["disagreement"].n_unique() == 1
    assert found.table["n_replicas"].to_list() == [2] * 2
    _agree(out, found.table)
    with pytest.raises(InputError, match="finished run"):
        run_study(path, out)
    other = text.replace("seed = [1, 2]", "seed = [1, 2, 3]").replace("n_features = 16", "n_features = 12")
    assert other.count("n_features = 12") == 1
    with pytest.raises(InputError, match="holds a model schnet-seed1 of other settings"):
        run_study(planned(tmp_path, other), out)


@pytest.mark.parametrize(
    ("simulation", "says"),
    [
        ("time = 0.01", "a run of 0.01 ps cannot show"),
        ("time = 0.04\ntimestep = 2.0", "a time step of 2 fs is too long"),
    ],
)
def test_simulations_that_say_nothing_of_a_model_are_told_before_a_training(
    tmp_path: Path, simulation: str, says: str
) -> None:
    assert PLAN.count("time = 0.01\n") == 1
    path = planned(tmp_path, PLAN.replace("time = 0.01", simulation))
    with pytest.raises(Stopped):
        run_study(path, tmp_path / "out", report=stop_at(f"warning: {says}"))
    assert not list((tmp_path / "out").rglob("model.safetensors"))


@pytest.mark.slow
@pytest.mark.usefixtures("few_assemblies")
def test_an_unfinished_study_keeps_its_trainings_when_its_simulation_changes(tmp_path: Path) -> None:
    text, out = PLAN.replace('["schnet", "painn"]\nseed = [1, 2]', '["schnet"]'), tmp_path / "out"
    with pytest.raises(Stopped):
        run_study(planned(tmp_path, text), out, report=stop_at("schnet: done"))
    kept = [out / "models" / "schnet" / name for name in ("train/model.safetensors", "analysis/summary.json")]
    before = [path.stat().st_mtime_ns for path in kept]
    lines: list[str] = []
    mended = text.replace("time = 0.01", "time = 0.02\ntemperature = 300.0")
    found = run_study(planned(tmp_path, mended), out, report=lines.append)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert "simulation: temperature was 500.0 and is 300.0; made again for 1 of 1 models, trainings are kept" in lines
    assert found.table["sound_time_ps"].max() > 0.01  # no longer than 0.01 ps before
    assert started_settings(out / "models" / "schnet" / "md")["temperature"] == 300.0
    assert json.loads((out / "summary.json").read_text())["settings"]["simulation"]["temperature"] == 300.0
    grown = mended.replace('["schnet"]', '["schnet", "painn"]')
    with pytest.raises(InputError, match=r"a finished study with another simulation \(time was 0.02 and is 0.03\)"):
        run_study(planned(tmp_path, grown.replace("time = 0.02", "time = 0.03")), out)
    assert [path.stat().st_mtime_ns for path in kept] == before


def test_a_model_that_was_tested_on_nothing_fails_alone_and_before_it_is_analysed(tmp_path: Path) -> None:
    config, members = read_study(planned(tmp_path))
    train = tmp_path / "out" / "train"
    train.mkdir(parents=True)
    for name, text in (("model.safetensors", ""), ("errors.json", "{}"), ("card.json", '{"hours": 1.0}')):
        (train / name).write_text(text)
    with pytest.raises(InputError, match=r"errors.json: the model was tested on no structure"):
        run_member(members[0], tmp_path / "out", tmp_path, config.analysis, config.simulation)


def settle(path: Path, out: Path, started: dict[str, Any] | None = None) -> list[str]:
    lines: list[str] = []
    config, members = read_study(path)
    settle_stages(out, config, members, started or {}, path.parent, lines.append)
    return lines


def with_stages(folder: Path, text: str = PLAN) -> Path:
    """Folder of a study whose first model has all stages, made up."""
    out = folder / "out"
    settle(planned(folder, text), out)
    for place in ("train", "analysis", "md"):
        one = out / "models" / "schnet-seed1" / place
        one.mkdir()
        (one / "summary.json").write_text("{}")
        mark(one, ["summary.json"])
    (out / "models" / "schnet-seed1" / "row.json").write_text("{}")
    return out


def left(out: Path) -> list[str]:
    folder = out / "models" / "schnet-seed1"
    return [name for name in ("train", "analysis", "md", "row.json") if (folder / name).exists()]


ALL = ["train", "analysis", "md", "row.json"]


@pytest.mark.parametrize(
    ("old", "new", "says", "stay"),
    [
        ("time = 0.01", "time = 0.01", "", ALL),
        (
            "time = 0.01",
            "time = 0.02",
            "simulation: time was 0.01 and is 0.02; made again for 1",
            ["train", "analysis"],
        ),
        ('":6"', '":4"', "analysis: frames was ':6' and is ':4'; made again for 1 of 4", ["train", "md"]),
    ],
)
def test_stages_of_other_settings_are_made_again(
    tmp_path: Path, old: str, new: str, says: str, stay: list[str]
) -> None:
    out = with_stages(tmp_path)
    path = planned(tmp_path, PLAN.replace(old, new))
    lines = settle(path, out)
    assert [line.startswith(says) for line in lines] == [True] * bool(says)
    assert left(out) == stay
    assert settle(path, out) == []
    assert left(out) == stay


def test_stages_of_other_structures_are_made_again(tmp_path: Path) -> None:
    other = PLAN.replace('[simulation]\npath = "frames.xyz"', '[simulation]\npath = "start.xyz"')
    ase.io.write(tmp_path / "start.xyz", ase.build.molecule("CH3OH"))
    out = with_stages(tmp_path, other)
    ase.io.write(tmp_path / "start.xyz", ase.build.molecule("CH3CH2OH"))
    assert settle(planned(tmp_path, other), out)[0].startswith("simulation: start.xyz has changed; made again for 1")
    assert left(out) == ["train", "analysis"]


def test_models_of_two_data_sets_do_not_mix(tmp_path: Path) -> None:
    data = PLAN.replace('[data]\npath = "frames.xyz"', '[data]\npath = "data.xyz"')
    shutil.copy(planned(tmp_path).with_name("frames.xyz"), tmp_path / "data.xyz")
    out, path = with_stages(tmp_path, data), planned(tmp_path, data)
    assert settle(path, out) == []
    (tmp_path / "data.xyz").write_text((tmp_path / "data.xyz").read_text().replace("energy=", "energy=1"))
    with pytest.raises(InputError, match=r"schnet-seed1 was trained on other data: .*data.xyz has changed since"):
        settle(path, out)
    assert left(out) == ALL


def test_stages_without_a_note_are_those_of_the_settings_that_began_them(tmp_path: Path) -> None:
    out, path = with_stages(tmp_path), planned(tmp_path)
    note = out / "models" / "schnet-seed1" / "stages.json"
    note.unlink()
    started = settings_of(read_study(path)[0])
    assert settle(path, out, started) == []
    note.unlink()
    started["simulation"] = {**started["simulation"], "time": 5.0}
    assert settle(path, out, started)[0].startswith("simulation: time was 5.0 and is 0.01")


def test_a_finished_study_loses_nothing(tmp_path: Path) -> None:
    out = with_stages(tmp_path)
    (out / "summary.json").write_text("{}")
    with pytest.raises(InputError, match=r"finished study with another simulation .*delete its summary.json to keep"):
        settle(planned(tmp_path, PLAN.replace("time = 0.01", "time = 0.02")), out)
    assert left(out) == ALL


def test_a_disk_that_is_full_between_models_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(study_run, "settle_stages", full)
    with pytest.raises(InputError, match=r"--out .*out: the disk is full \(No space left\); make room"):
        run_study(planned(tmp_path), tmp_path / "out")


def _agree(out: Path, table: pl.DataFrame) -> None:
    """Summary, CSV and page say what the table says."""
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["models"]) == 2
    assert all(math.isfinite(row["exit_barrier"]) and row["smoothness"] > 0 for row in summary["models"])
    parts = [name for name in table.columns if name.startswith("deviation/")]
    counts = [sum(row[name] is not None for name in parts) for row in table.to_dicts()]
    assert table["n_parts"].to_list() == counts
    assert pl.read_csv(out / "models.csv")["n_parts"].to_list() == counts
    assert set(summary["deviation_parts"]) <= {name.removeprefix("deviation/") for name in parts}
    page = (out / "report.html").read_text()
    assert "schnet-seed2" in page
    assert "<th>parts of the score</th>" in page
    assert f"the parts that all models have ({', '.join(summary['deviation_parts'])})" in page
    body = page.replace("http-equiv", "").split("<body>")[1]
    assert "http" not in body.replace("http://www.w3.org/2000/svg", "")  # a namespace, which nothing loads
