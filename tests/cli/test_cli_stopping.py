"""A run that is stopped from outside cleans up: Ctrl-C, termination, a disk that is full."""

import os
import resource
import signal
import subprocess
import sys
import time

import ase.io
import pytest
from ase.build import molecule
from cli_samples import left_over, write_inputs

COMMAND = [sys.executable, "-m", "atomlens", "explain", "model.safetensors"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a model and a long trajectory, which is where the command runs."""
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    frame = molecule("CH3CH2OH")
    ase.io.write("many.xyz", [frame] * 5000, format="extxyz")
    return tmp_path


def start(*args, **options):
    return subprocess.Popen([*COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for_tables(folder, process):
    end = time.monotonic() + 120
    while not any(path.suffix == ".parquet" for path in folder.glob("run.partial-*/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "atomlens: interrupted; nothing was left behind\n"), (signal.SIGTERM, 143, "")],
    ids=["Ctrl-C", "terminated"],
)
def test_stopping_in_the_middle_leaves_nothing(here, number, code, line):
    process = start("many.xyz", "--out", "run", "--max-order", "2")
    wait_for_tables(here, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", line)
    assert left_over(here) == []


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(here):
    # A file may not grow beyond 100 kB: the page cannot be written.
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))}
    process = start("ethanol.xyz", "--out", "run", **limit)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err.count("\n") == 1
    assert "--out run: cannot be written (File too large)" in err
    assert left_over(here) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(here):
    (here / "locked").mkdir(mode=0o500)
    process = start("ethanol.xyz", "--out", "locked/run")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Permission denied" in err
    assert err.count("\n") == 1
