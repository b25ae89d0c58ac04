"""The state of a run on disk, and whether a configuration and its data may go on from it."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from atomlens.folders import atomic_file
from atomlens.structures import InputError, check_regular
from atomlens.training.config import TrainConfig
from atomlens.training.loop import Fit

_FORMAT = "atomlens-training-1"


def save_checkpoint(path: Path, config: TrainConfig, digest: str, fit: Fit, seconds: float) -> None:
    """Write the state of a run in one step, with the digest of the data that it learns from."""
    state = {"format": _FORMAT, "config": asdict(config), "data": digest, "seconds": seconds, "fit": fit.state()}
    data = io.BytesIO()  # torch's own writer does not say why it could not write
    torch.save(state, data)
    with atomic_file(path) as part:
        part.write_bytes(data.getbuffer())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # torch raises many kinds for a file that is not a checkpoint
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: not a checkpoint of this version ({reason}); start anew in another --out") from error


def load_checkpoint(path: Path, config: TrainConfig) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote: tensors, numbers, text and lists; a name of anything else ends the reading."""
    with _reading(path):
        check_regular(path)
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch does not look at checksums
                raise ValueError("its checksum is another one")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["format"] != _FORMAT:
            raise ValueError(f"format {state['format']!r}")
        _check_same(path, config, state)
        if not 0 <= float(state["seconds"]) < math.inf:
            raise ValueError("it says no time")
        return state


def restore(path: Path, state: dict[str, Any], digest: str, fit: Fit) -> float:
    """Continue where `save_checkpoint` stopped; returns the seconds until then."""
    with _reading(path):
        # Versions up to 0.2 did not note which data they had.
        if state.get("data", digest) != digest:
            raise InputError(
                f"{path}: the data have changed since the run was started: structures, their order, or what is fitted; "
                "restore them, or give another --out"
            )
        fit.restore(state["fit"])
        return float(state["seconds"])


def _check_same(path: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    now = asdict(config)
    for part in ("data", "model"):
        # Settings that a later version added have their defaults here, which is what the run was started with.
        changed = [key for key, value in state["config"][part].items() if now[part].get(key) != value]
        if changed:
            raise InputError(f"{path}: the run was started with another {part}.{changed[0]}; give another --out")
    if state["config"]["seed"] != config.seed:
        raise InputError(f"{path}: the run was started with seed {state['config']['seed']}; give another --out")
    for name in ("energy_weight", "force_weight", "charge_weight"):
        before, given = state["config"]["fit"].get(name, 0.0), now["fit"][name]
        if before != given:  # the best epoch is the one of the lowest loss, and losses of other weights are no match
            raise InputError(
                f"{path}: the run was started with fit.{name} = {before:g}, received {given:g}; losses of "
                "other weights cannot be compared: set it back, or give another --out"
            )
