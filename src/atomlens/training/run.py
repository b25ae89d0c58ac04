"""A training run from its configuration to a model file and its card."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from atomlens.data import save_split
from atomlens.folders import alone_in, is_ours, mark, remove_if_empty, write_text
from atomlens.models import keep_memory, save_model, usable_device
from atomlens.structures import InputError
from atomlens.training.card import make_card
from atomlens.training.checkpoint import load_checkpoint, restore, save_checkpoint
from atomlens.training.config import TrainConfig, read_config
from atomlens.training.errors import Errors, evaluate, save_errors
from atomlens.training.logs import RunLogs
from atomlens.training.loop import EpochResult, Fit, Penalty
from atomlens.training.prepare import Prepared, prepare

CHECKPOINT = "checkpoint.pt"
MODEL = "model.safetensors"
CARD = "card.json"
ERRORS = "errors.json"
SPLIT = "split.json"
# Patterns of all files that a training writes.
TRAINING_FILES = (
    CHECKPOINT,
    MODEL,
    CARD,
    ERRORS,
    "metrics.csv",
    SPLIT,
    "tensorboard/events.out.tfevents.*",
)


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
    command: str = "",
    device: torch.device | str | None = None,
    penalty: Penalty | None = None,
) -> TrainResult:
    """Train a model as its configuration says, and test it.

    Everything goes to `out`: ``checkpoint.pt`` (after every epoch, replaced in one step), ``metrics.csv``,
    TensorBoard events, ``split.json``, and at the end ``model.safetensors``, ``card.json``
    and ``errors.json``. A run that was killed
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
        Stop after the epoch in which this time has passed, at least 0, as if all epochs were done; `resume` can go on.
    command
        The command as it was typed, for the card; the call of this function where empty.
    device
        Where to compute; the CPU if None. The model file is the same for all, and a run may go on on another.
    penalty
        A further term of the loss: a function of the model and the number of the step (from 0, over all epochs) that
        returns a number, for what is known beside energies and forces. The card has its name; a run that resumes needs
        the same one again, which cannot be checked.

    Raises
    ------
    InputError
        If configuration, data, device or run folder are unusable.
    TrainingError
        If the loss diverges.
    """
    config_path, out = Path(config_path), Path(out)
    config = read_config(config_path)
    if max_hours is not None and not max_hours >= 0:
        raise InputError(f"max_hours = {max_hours}; give 0 or more hours, or none for all epochs")
    device = usable_device(device or "cpu")
    with _removed_before_its_first_epoch(out), alone_in(out), _with_folder_named(out):
        _check_folder(out, resume)
        command = command or f"train({config_path!s}, {out!s})"
        return _train(config, config_path, out, report, max_hours, command, device, penalty)


def _train(
    config: TrainConfig,
    config_path: Path,
    out: Path,
    report: Callable[[str], None],
    max_hours: float | None,
    command: str,
    device: torch.device,
    penalty: Penalty | None,
) -> TrainResult:
    checkpoint = out / CHECKPOINT
    torch.set_num_threads(config.fit.threads)
    keep_memory()  # or every step makes new pages of its larger arrays
    state = load_checkpoint(checkpoint, config) if checkpoint.exists() else None
    given_split = not is_ours(out) and (out / SPLIT).exists()
    resumed = state is not None
    prepared = prepare(config, config_path.parent, out, device, resumed=resumed, given_split=given_split)
    fit = Fit(prepared.model, config.fit, config.seed, penalty)
    seconds = 0.0
    if state is not None:
        seconds = restore(checkpoint, state, prepared.digest, fit)
        report(f"{config.name}: continuing after epoch {fit.epoch}")
    mark(out, TRAINING_FILES)  # not earlier: a folder with nothing but the user's split is the user's until then
    if prepared.origin is not None:
        save_split(prepared.split, out / SPLIT, prepared.origin)
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
        save_checkpoint(checkpoint, config, prepared.digest, fit, elapsed)
        logs.add(result)
        report(_line(config, result, elapsed))
        if max_hours is not None and time.monotonic() - started > 3600 * max_hours:
            break
    seconds += time.monotonic() - started
    logs.close()
    return finish(config, out, prepared, fit, seconds, report, command)


def finish(
    config: TrainConfig,
    out: Path,
    prepared: Prepared,
    fit: Fit,
    seconds: float,
    report: Callable[[str], None],
    command: str,
) -> TrainResult:
    """Test the best weights, write model and card."""
    model = fit.use_best()
    size = config.fit.validate_batch_size
    test = {t.name: evaluate(model, t.store.batches(t.indices, size)) for t in prepared.tests}
    model.to(device="cpu")
    card = make_card(config, command, prepared, fit, seconds, test)
    model.config = replace(model.config, card=card)
    save_errors(test, out / ERRORS)
    write_text(out / CARD, json.dumps(card, indent=1, ensure_ascii=False))
    save_model(model, out / MODEL)
    for name, errors in test.items():
        report(f"{config.name}: {name} ({errors.n} structures): {errors.line()}")
    return TrainResult(out / MODEL, out / CARD, card, test)


def _check_folder(out: Path, resume: bool) -> None:
    """Refuse a run that is to be resumed, and a folder with files that a training would write over."""
    if (out / CHECKPOINT).exists():
        if not resume:
            raise InputError(f"{out} holds a run; continue it with --resume, or give another --out")
    elif not is_ours(out) and (others := sorted(p.name for p in out.iterdir() if p.name != SPLIT)):
        raise InputError(
            f"{out} is not empty and holds no run of atomlens (it has {others[0]}); give another --out, or an empty one"
        )


@contextmanager
def _removed_before_its_first_epoch(out: Path) -> Iterator[None]:
    """Remove the folder of a run that bad input ends, unless it has a checkpoint: that is work to go on from."""
    kept: InputError | None = None
    with remove_if_empty(out, InputError):
        try:
            yield
        except InputError as error:
            if not _has_checkpoint(out):
                raise
            kept = error
    if kept is not None:
        raise kept


@contextmanager
def _with_folder_named(out: Path) -> Iterator[None]:
    """Say what the system refused in one line; the last checkpoint is whole, whatever happens after it."""
    try:
        yield
    except OSError as error:
        kept = (
            "the last whole epoch is kept: make room or mend it, then go on with --resume"
            if _has_checkpoint(out)
            else "no epoch was finished: make room or mend it, then start again"
        )
        raise InputError(f"{out}: {error.strerror or error}; {kept}") from error


def _has_checkpoint(out: Path) -> bool:
    return os.path.exists(out / CHECKPOINT)  # Path.exists raises where a folder may not be entered


def _line(config: TrainConfig, result: EpochResult, seconds: float) -> str:
    return (
        f"epoch {result.epoch}/{config.fit.epochs}  loss {result.train_loss:.4g} (val {result.val_loss:.4g})  "
        f"val {result.val.line()}  lr {result.lr:.3g}  {seconds:.0f} s"
    )
