"""Running the command as the console does, and the files it is given."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from ase.build import molecule

import atomlens
from atomlens.cli import main
from samples import small_model


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it said."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *args: object) -> Outcome:
    """Run ``atomlens`` in this process, through the console's entry point."""
    handler = signal.getsignal(signal.SIGTERM)
    capsys.readouterr()
    try:
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
    finally:
        signal.signal(signal.SIGTERM, handler)
    said = capsys.readouterr()
    return Outcome(int(end.value.code or 0), said.out, said.err)


@cache
def _model() -> atomlens.Potential:
    model = small_model("painn", cutoff=3.0)
    model.config = replace(model.config, elements=(1, 6, 8))
    return model


def write_inputs(folder: Path) -> None:
    """``model.safetensors``, ``wide.safetensors`` (a cutoff of 5 µm) and ``ethanol.xyz`` in a folder."""
    atomlens.save_model(_model(), folder / "model.safetensors")
    atomlens.save_model(small_model("schnet", cutoff=5e4), folder / "wide.safetensors")
    molecule("CH3CH2OH").write(folder / "ethanol.xyz", format="extxyz")


def left_over(folder: Path) -> list[str]:
    """Anything in a folder that a run may have begun to write."""
    return [path.name for path in folder.iterdir() if path.name.startswith("run")]
