"""A training run from its configuration to a model file and its card."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from atomlens.folders import atomic_file, write_text
from atomlens.models import save_model
from atomlens.structures import InputError
from atomlens.training.card import make_card
from atomlens.training.config import TrainConfig, read_config
from atomlens.training.errors import Errors, evaluate
from atomlens.training.logs import RunLogs
from atomlens.training.loop import EpochResult, Fit
from atomlens.training.prepare import Prepared, prepare

CHECKPOINT = "checkpoint.pt"
MODEL = "model.safetensors"
CARD = "card.json"
_FORMAT = "atomlens-training-1"


@dataclass(frozen=True)
class TrainResult:
    """A finished (or interrupted) run.

    Attributes
    ----------
    model_path, card_path
        Files of the model and of its card.
    card
        The card: data, split, seed, command, time, errors with units, date.
    test
        Errors by name of the test set.
    """

    model_path: Path
    card_path: Path
    card: dict[str, Any]
    test: dict[str, Errors]


def train(
    config_path: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    report: Callable[[str], None] = print,
    max_hours: float | None = None,
) -> TrainResult:
    """Train a model as its configuration says, and test it.

    Everything goes to `out`: ``checkpoint.pt`` (after every epoch, replaced in one step), ``metrics.csv``,
    TensorBoard events, ``split.json``, and at the end ``model.safetensors`` and ``card.json``. A run that was killed
    at any moment continues with `resume` from its last whole epoch and ends with the same weights, bit for
    bit, as one that was not, given the same machine, versions and number of threads.

    Parameters
    ----------
    config_path
        TOML file, see `atomlens.training.TrainConfig`.
    out
        Folder of the run.
    resume
        Continue the run in `out`; without a checkpoint there, start.
    report
        Receives one line per epoch.
    max_hours
        Stop after the epoch in which this time has passed, as if all epochs were done; `resume` can go on.

    Raises
    ------
    InputError
        If configuration, data or run folder are unusable.
    TrainingError
        If the loss diverges.
    """
    config_path, out = Path(config_path), Path(out)
    config = read_config(config_path)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise InputError(f"{out} holds a run; continue it with --resume, or give another --out")
    torch.set_num_threads(config.fit.threads)
    prepared = prepare(config, config_path.parent, out)
    fit = Fit(prepared.model, config.fit, config.seed)
    seconds = 0.0
    if checkpoint.exists():
        seconds = _load(checkpoint, config, fit)
        report(f"{config.name}: continuing after epoch {fit.epoch}")
    parameters = sum(p.numel() for p in prepared.model.parameters())
    report(
        f"{config.name}: {len(prepared.split.train)} training, {len(prepared.split.val)} validation structures; "
        f"{parameters} parameters; scale {float(prepared.model.scale):.4g} {prepared.model.config.output.unit}"
    )
    logs = RunLogs(out, fit)
    started = time.monotonic()
    while not fit.finished:
        result = fit.run_epoch(prepared.store, prepared.split)
        elapsed = seconds + time.monotonic() - started
        _save(checkpoint, config, fit, elapsed)
        logs.add(result)
        report(_line(config, result, elapsed))
        if max_hours is not None and time.monotonic() - started > 3600 * max_hours:
            break
    seconds += time.monotonic() - started
    logs.close()
    return finish(config, config_path, out, prepared, fit, seconds, report)


def finish(
    config: TrainConfig,
    config_path: Path,
    out: Path,
    prepared: Prepared,
    fit: Fit,
    seconds: float,
    report: Callable[[str], None],
) -> TrainResult:
    """Test the best weights, write model and card."""
    model = fit.use_best()
    size = config.fit.validate_batch_size
    test = {t.name: evaluate(model, t.store.batches(t.indices, size)) for t in prepared.tests}
    card = make_card(config, config_path, prepared, fit, seconds, test)
    model.config = replace(model.config, card=card)
    write_text(out / CARD, json.dumps(card, indent=1, ensure_ascii=False))
    save_model(model, out / MODEL)
    for name, errors in test.items():
        report(f"{config.name}: {name} ({errors.n} structures): {errors.line()}")
    return TrainResult(out / MODEL, out / CARD, card, test)


def _save(path: Path, config: TrainConfig, fit: Fit, seconds: float) -> None:
    state = {"format": _FORMAT, "config": asdict(config), "seconds": seconds, "fit": fit.state()}
    with atomic_file(path) as part:
        torch.save(state, part)


def _load(path: Path, config: TrainConfig, fit: Fit) -> float:
    try:
        state = torch.load(path, weights_only=True)
        assert state["format"] == _FORMAT
    except Exception as error:  # torch raises many kinds for a file that is not a checkpoint
        raise InputError(f"{path}: not a checkpoint of this version ({error}); start anew in another --out") from error
    now = asdict(config)
    for part in ("data", "model"):
        # Settings that a later version added have their defaults here, which is what the run was started with.
        changed = [key for key, value in state["config"][part].items() if now[part].get(key) != value]
        if changed:
            raise InputError(f"{path}: the run was started with another {part}.{changed[0]}; give another --out")
    if state["config"]["seed"] != config.seed:
        raise InputError(f"{path}: the run was started with seed {state['config']['seed']}; give another --out")
    fit.restore(state["fit"])
    return float(state["seconds"])


def _line(config: TrainConfig, result: EpochResult, seconds: float) -> str:
    return (
        f"epoch {result.epoch}/{config.fit.epochs}  loss {result.train_loss:.4g} (val {result.val_loss:.4g})  "
        f"val {result.val.line()}  lr {result.lr:.3g}  {seconds:.0f} s"
    )
