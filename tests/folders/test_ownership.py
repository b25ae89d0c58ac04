"""Folders are owned by a marker, replaced only where they hold nothing else, and written by one process at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomlens import InputError
from atomlens.folders import RunFolder, alone_in, open_run, remove_if_empty
from atomlens.folders.locks import take_lock
from atomlens.folders.ownership import MARKER, check_replaceable, is_ours, mark, mark_as_it_is, remove_ours
from atomlens.structures import NothingDone

NAMES = st.text(st.sampled_from("ab[]*?.! -é"), min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))


def fill(out: Path, text: str, overwrite: bool = False) -> None:
    with RunFolder(out, overwrite) as run:
        (run.path / "tables").mkdir()
        for name in ("summary.json", "report.html", "tables/pairs.parquet"):
            (run.path / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def refused(out: Path, word: str) -> None:
    before = contents(out)
    with pytest.raises(InputError, match=word):
        fill(out, "new", overwrite=True)
    assert contents(out) == before
    assert os.listdir(out.parent) == [out.name]


def test_a_run_within_a_run_does_not_wait_for_its_own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(seconds: float) -> None:
        raise AssertionError("waits for a lock")

    with RunFolder(tmp_path / "out") as outer:
        monkeypatch.setattr("atomlens.folders.locks.time.sleep", wait)
        fill(outer.path / "inner", "x")
        assert take_lock(outer.path) is None  # others are kept out
    assert contents(tmp_path / "out")["inner/summary.json"] == "x"
    lock = take_lock(tmp_path / "out")  # nobody keeps the folder any longer, and others are waited for again
    assert lock is not None
    with pytest.raises(AssertionError, match="waits"):
        fill(tmp_path / "out" / "other", "x")
    lock.release()


@pytest.mark.parametrize("stranger", ["thesis.tex", "tables/mine.csv", "notes/a/b.txt", ".hidden"])
def test_a_file_of_the_user_stays_and_is_named(tmp_path: Path, stranger: str) -> None:
    fill(tmp_path / "run", "old")
    (tmp_path / "run" / stranger).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / stranger).write_text("mine")
    refused(tmp_path / "run", stranger.split("/")[0])


def test_empty_folders_and_links_of_the_user_stay(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x")
    for k, make in enumerate((lambda p: p.mkdir(), lambda p: p.symlink_to(tmp_path / "elsewhere"))):
        out = tmp_path / str(k) / "run"
        fill(out, "old")
        make(out / "mine")
        refused(out, "mine")
    assert (tmp_path / "elsewhere" / "precious").read_text() == "x"


@pytest.mark.parametrize(
    "marker",
    [None, "{}", "[]", "null", '{"format": "atomlens-run"}', '{"format": "other", "writes": ["*"]}',
     '{"format": "atomlens-run", "writes": [1]}', "\x00", "[" * 100_000],
)  # fmt: skip
def test_a_summary_alone_makes_no_folder_ours(tmp_path: Path, marker: str | None) -> None:
    out = tmp_path / "foreign"
    out.mkdir()
    (out / "summary.json").write_text('{"schema": 2, "what": "mine"}')
    if marker is not None:
        (out / MARKER).write_text(marker)
    refused(out, "not written by atomlens")


def test_a_run_of_ours_is_replaced_as_a_whole(tmp_path: Path) -> None:
    fill(tmp_path / "run", "old")
    fill(tmp_path / "run", "new", overwrite=True)
    assert set(contents(tmp_path / "run").values()) == {"new"}
    assert os.listdir(tmp_path) == ["run"]


@given(files=st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=6), extra=NAMES)
def test_the_marker_of_a_finished_folder_names_its_files_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, files: list[str], extra: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for name in files:
        path = folder / name
        if not any(part.is_file() for part in (path, *path.parents)) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    mark_as_it_is(folder)
    check_replaceable(folder, "it")
    if not (folder / extra).exists():
        (folder / extra).write_text("mine")
        with pytest.raises(InputError, match="did not write"):
            check_replaceable(folder, "it")
        remove_ours(folder)
        assert contents(folder) == {extra: "mine"}
        assert is_ours(folder)
    else:
        remove_ours(folder)
        assert not list(folder.iterdir())


def test_a_resumable_run_is_replaced_by_its_patterns(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with open_run(out, {"seed": 1}, ("trajectory/frames-?????.npz",)):
        (out / "trajectory").mkdir()
        (out / "trajectory" / "frames-00000.npz").write_text("x")
        # What a kill leaves of a file that was being written.
        (out / "trajectory" / ".frames-00001.npz.part-17-0a1b2c3d").write_text("half")
    with pytest.raises(InputError, match="another model, structures or settings"):
        open_run(out, {"seed": 2}, ()).__enter__()
    (out / "trajectory" / "frames-mine.npz").write_text("mine")
    with pytest.raises(InputError, match=r"frames-mine\.npz, which atomlens did not write"):
        open_run(out, {"seed": 2}, (), True).__enter__()
    assert (out / "trajectory" / "frames-00000.npz").is_file()
    (out / "trajectory" / "frames-mine.npz").unlink()
    with open_run(out, {"seed": 2}, (), True):
        assert sorted(path.name for path in out.iterdir()) == [MARKER, "started.json"]


def test_nothing_of_others_goes_when_nothing_was_done(tmp_path: Path) -> None:
    out = tmp_path / "new" / "run"

    def run(name: str) -> None:
        with remove_if_empty(out), open_run(out, {}, ("tables/a",)):
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_text("x")
            raise NothingDone("no structure")

    with pytest.raises(NothingDone):
        run("tables/a")
    assert os.listdir(tmp_path) == []
    with pytest.raises(NothingDone):
        run("mine")
    assert contents(tmp_path / "new") == {"run/mine": "x"}


def test_two_processes_never_share_a_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path / "a"), pytest.raises(InputError, match="another process"), alone_in(tmp_path / "a"):
        pass
    with open_run(tmp_path / "b", {}, ()), pytest.raises(InputError, match="another process"):
        open_run(tmp_path / "b", {}, ()).__enter__()
    with RunFolder(tmp_path / "c") as first:
        (first.path / "summary.json").write_text("first")
        with pytest.raises(InputError, match="another process is writing it"):
            fill(tmp_path / "c", "second")
    assert contents(tmp_path / "c") == {"summary.json": "first"}


RACE = """
import sys, time
from pathlib import Path
from atomlens.folders import RunFolder
out, name, start = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
time.sleep(max(0.0, start - time.time()))
with RunFolder(out, "--overwrite" in sys.argv) as run:
    (run.path / "summary.json").write_text(name)
    time.sleep(0.2)
"""


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_of_racing_runs_one_wins_and_the_others_are_refused(tmp_path: Path, overwrite: tuple[str, ...]) -> None:
    start = str(time.time() + 3.0)
    racers = {
        name: subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path / "run"), name, start, *overwrite], stderr=subprocess.PIPE
        )
        for name in "abc"
    }
    errors = {name: process.communicate()[1].decode() for name, process in racers.items()}
    done = {name for name, process in racers.items() if process.returncode == 0}
    assert done, errors
    if not overwrite:
        assert len(done) == 1
    assert (tmp_path / "run" / "summary.json").read_text() in done
    assert all("InputError" in errors[name] for name in set(racers) - done)
    assert os.listdir(tmp_path) == ["run"]


def test_what_a_killed_run_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    script = RACE.replace("time.sleep(0.2)", "print('filling', flush=True); time.sleep(60)")
    for out in ("run", "other"):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / out), "a", "0"], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert [name.split("-")[0] for name in os.listdir(tmp_path)] == ["other.partial"]  # it swept the first one
    (tmp_path / "data.partial-1").mkdir()
    (tmp_path / "data.partial-1" / "mine").write_text("x")
    fill(tmp_path / "run", "new")
    assert sorted(os.listdir(tmp_path)) == ["data.partial-1", "run"]


def test_an_earlier_run_comes_back_if_its_successor_was_killed_while_it_took_its_place(tmp_path: Path) -> None:
    fill(tmp_path / "run", "old")
    (tmp_path / "run").rename(tmp_path / "run.replaced-12345")
    fill(tmp_path / "other", "x")
    assert set(contents(tmp_path / "run").values()) == {"old"}
    # Killed later, before the earlier one was deleted.
    fill(tmp_path / "again", "older")
    (tmp_path / "again").rename(tmp_path / "run.replaced-12345")
    (tmp_path / "run.replaced-12345" / "mine").write_text("x")
    fill(tmp_path / "last", "x")
    assert contents(tmp_path / "run.replaced-12345") == {"mine": "x"}


@pytest.mark.parametrize("out", ["/", "a\x00b", "x" * 300, "loop/run"])
def test_names_that_cannot_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(InputError, match="--out "):
        fill(Path(out), "x")


def test_the_marker_reads_as_plain_json(tmp_path: Path) -> None:
    mark(tmp_path, ["b", "a"])
    assert json.loads((tmp_path / MARKER).read_text()) == {"format": "atomlens-run", "writes": [MARKER, "a", "b"]}
