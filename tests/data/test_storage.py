import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from atomlens.data import Dataset, load_dataset, load_split, make_split, read_dataset, save_dataset, save_split
from atomlens.data.storage import cache_folder
from atomlens.structures import InputError


def test_round_trip(tmp_path: Path, springs: Dataset) -> None:
    save_dataset(springs, tmp_path / "set")
    for back in (load_dataset(tmp_path / "set"), read_dataset(tmp_path / "set")):
        np.testing.assert_array_equal(back.positions, springs.positions)
        np.testing.assert_array_equal(back.column("forces").values, springs.column("forces").values)
        assert back.column("forces").unit == "eV/Å"
        assert back.notes == springs.notes
    assert isinstance(load_dataset(tmp_path / "set").positions, np.memmap)


def test_existing_set_is_not_overwritten(tmp_path: Path, springs: Dataset) -> None:
    save_dataset(springs, tmp_path / "set")
    with pytest.raises(InputError, match="exists"):
        save_dataset(springs, tmp_path / "set")


def test_truncated_set(tmp_path: Path, springs: Dataset) -> None:
    save_dataset(springs, tmp_path / "set")
    np.save(tmp_path / "set" / "column0.npy", np.zeros(3))
    with pytest.raises(InputError, match="energy has 3 entries, expected 60"):
        load_dataset(tmp_path / "set")
    (tmp_path / "set" / "positions.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match="not a complete data set"):
        load_dataset(tmp_path / "set")


KILLED = """
import sys, time
from pathlib import Path
from atomlens.folders.files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as part:
    (part / "half").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_kill_while_the_cache_is_written(tmp_path: Path, springs: Dataset) -> None:
    target = tmp_path / "set"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not target.exists()
    assert len(list(tmp_path.glob(".set.part-*"))) == 1
    save_dataset(springs, target)
    assert len(load_dataset(target)) == 60
    assert not list(tmp_path.glob(".set.part-*"))


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMLENS_CACHE", "/x")
    assert cache_folder() == Path("/x")
    monkeypatch.delenv("ATOMLENS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/y")
    assert cache_folder() == Path("/y/atomlens")


def test_splits_are_disjoint_seeded_and_stable() -> None:
    a, b = make_split(100, 60, 10, 20, seed=1), make_split(100, 30, 10, 20, seed=1)
    assert len(set(a.train) | set(a.val) | set(a.test)) == 90
    np.testing.assert_array_equal(a.val, b.val)
    np.testing.assert_array_equal(a.test, b.test)
    assert set(b.train) < set(a.train)
    assert set(make_split(100, 60, 10, None, seed=1).test) > set(a.test)
    assert (make_split(100, 60, 10, 20, seed=2).train != a.train).any()


def test_stored_split(tmp_path: Path) -> None:
    split = make_split(20, 10, 5, None, seed=1)
    save_split(split, tmp_path / "split.json")
    back = load_split(tmp_path / "split.json", 20)
    np.testing.assert_array_equal(back.test, split.test)
    with pytest.raises(InputError, match="data set of 12"):
        load_split(tmp_path / "split.json", 12)
    (tmp_path / "bad.json").write_text('{"seed": 1, "train": [1], "val": [1], "test": []}')
    with pytest.raises(InputError, match="overlap"):
        load_split(tmp_path / "bad.json", 20)
    with pytest.raises(InputError, match="ask for fewer"):
        make_split(10, 8, 3, None, seed=0)
