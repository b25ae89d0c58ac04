"""Files and folders that are complete or not there: failures, kills, another writer."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from atomlens.folders import files
from atomlens.folders.files import atomic_file, atomic_folder, write_text


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_folder(tmp_path / "set") as part:
            (part / "half").touch()
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fill()
    assert not list(tmp_path.iterdir())

    def fail() -> None:
        with atomic_file(tmp_path / "file") as part:
            part.write_text("half")
            raise RuntimeError("disk full")

    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


KILLED = """
import sys, time
from pathlib import Path
from atomlens.folders.files import atomic_file
with atomic_file(Path(sys.argv[1])) as part:
    part.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_kill_leaves_is_hidden_and_goes_with_the_next_write(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        with atomic_file(target) as part:  # one that still writes is left alone
            part.write_text("meanwhile")
        assert len(list(tmp_path.glob(".file.part-*"))) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert target.read_text() == "meanwhile"
    write_text(target, "\u00e5")
    assert target.read_bytes() == b"\xc3\xa5"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_another_finished_meanwhile_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "set") as part:
        (part / "file").write_text("late")
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "file").write_text("first")
    assert [p.read_text() for p in tmp_path.rglob("file")] == ["first"]


def test_file_systems_that_cannot_sync_folders_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def files_only(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(files.os, "fsync", files_only)
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
