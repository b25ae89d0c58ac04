"""A disk that is full while a model is trained: one line says so, the last epoch is kept, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atomlens import InputError
from atomlens.training import train

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
