"""A disk that is full while a model is trained: one line says so, the last epoch is kept, and the run goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atomlens import InputError
from atomlens.training import run, train

resource = pytest.importorskip("resource")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Files may not grow further: what the system then refuses is what it refuses on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_nothing_is_lost(make_config: Callable[..., Path], tmp_path: Path) -> None:
    out, lines = tmp_path / "run", []
    train(make_config(epochs=1), out, report=lines.append)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    config = make_config(epochs=2)
    with (
        files_up_to(len(before["checkpoint.pt"]) // 2),
        pytest.raises(InputError, match=r"File too large; the last whole epoch is kept: make room"),  # exit code 2
    ):
        train(config, out, resume=True, report=lines.append)
    assert (out / "checkpoint.pt").read_bytes() == before["checkpoint.pt"]
    assert (out / "model.safetensors").read_bytes() == before["model.safetensors"]
    assert {path.name for path in out.iterdir() if path.is_file()} == set(before)
    train(config, out, resume=True, report=lines.append)
    assert sum("continuing after epoch 1" in line for line in lines) == 2


def test_a_disk_that_fills_up_in_a_new_folder_costs_no_epoch(
    make_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out, lines, whole = make_config(epochs=3), tmp_path / "run", list[str](), run.save_checkpoint
    monkeypatch.setattr(run, "save_checkpoint", full_after(2, whole))
    with pytest.raises(InputError, match="No space left on device; the last whole epoch is kept: make room"):
        train(config, out, report=lines.append)
    assert (out / "checkpoint.pt").is_file()
    assert len((out / "metrics.csv").read_text().splitlines()) == 3
    monkeypatch.setattr(run, "save_checkpoint", whole)
    train(config, out, resume=True, report=lines.append)
    assert any("continuing after epoch 2" in line for line in lines)


def test_a_disk_that_is_full_from_the_start_leaves_nothing(
    make_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "save_checkpoint", full_after(0, run.save_checkpoint))
    with pytest.raises(InputError, match="No space left on device; no epoch was finished: make room") as refused:
        train(make_config(epochs=1), tmp_path / "run", report=lambda line: None)
    assert "is kept" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def full_after(epochs: int, save: Callable[..., None]) -> Callable[..., None]:
    """Write so many checkpoints; then the disk is full."""
    left = epochs

    def write(*args: object) -> None:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left -= 1
        save(*args)

    return write
