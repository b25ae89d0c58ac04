"""A training run from its configuration to a model file and its card."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atomlens.data import (
    Dataset,
    GraphStore,
    Split,
    Units,
    find_edges,
    load_qm9,
    load_split,
    make_split,
    read_dataset,
    require_matching_forces,
    save_split,
)
from atomlens.data.storage import atomic_write
from atomlens.models import OutputConfig, Potential
from atomlens.models.checkpoint import save_model
from atomlens.structures import InputError
from atomlens.training.config import TrainConfig, read_config
from atomlens.training.errors import Errors, evaluate
from atomlens.training.loop import EpochResult, Fit
from atomlens.training.standardise import standardise

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


@dataclass(frozen=True)
class _Prepared:
    dataset: Dataset
    split: Split
    store: GraphStore
    model: Potential


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
        Receives one line an epoch.
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
    logs = _Logs(out, fit)
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


def prepare(config: TrainConfig, base: Path, out: Path) -> _Prepared:
    """Read the data, split them (or read the run's split), and make the model with its references."""
    settings = config.data
    dataset = read_source(config, base, settings.path)
    if settings.forces and settings.check_forces:
        require_matching_forces(dataset)
    split_path = out / "split.json"
    if split_path.exists():
        split = load_split(split_path, len(dataset))
    else:
        split = make_split(len(dataset), settings.n_train, settings.n_val, settings.n_test, settings.split_seed)
        save_split(split, split_path)
    model = make_model(config, dataset, split)
    forces = "forces" if settings.forces else None
    store = GraphStore(dataset, find_edges(dataset, model.cutoff), settings.property, forces, model.dtype)
    return _Prepared(dataset, split, store, model)


def read_source(config: TrainConfig, base: Path, path: str) -> Dataset:
    """The data set that a configuration names."""
    settings = config.data
    if settings.set == "qm9":
        return load_qm9()
    return read_dataset(base / path, Units(settings.energy_unit, settings.length_unit, settings.force_unit))


def make_model(config: TrainConfig, dataset: Dataset, split: Split) -> Potential:
    """A model with fresh weights (by the configuration's seed), references and scale of the training set."""
    settings, readout = config.data, config.model.readout
    column = dataset.column(settings.property)
    extensive = readout == "sum"
    output = OutputConfig(settings.property, column.unit, extensive=extensive, has_forces=settings.forces)
    torch.manual_seed(config.seed)
    model = Potential(config.model.model_config(output, dataset.elements)).cast(torch.float32)
    standard = standardise(
        dataset,
        split.train,
        settings.property,
        "forces" if settings.forces else None,
        kind=config.model.references,
        extensive=extensive,
        centred=readout != "dipole",
    )
    model.atomrefs.zero_()
    model.atomrefs[: len(standard.references)] = torch.from_numpy(standard.references)
    model.mean.fill_(standard.mean)
    model.scale.fill_(standard.scale)
    return model


def finish(
    config: TrainConfig,
    config_path: Path,
    out: Path,
    prepared: _Prepared,
    fit: Fit,
    seconds: float,
    report: Callable[[str], None],
) -> TrainResult:
    """Test the best weights, write model and card."""
    model = fit.use_best()
    size = config.fit.validate_batch_size
    test: dict[str, Errors] = {}
    if len(prepared.split.test):
        test["test"] = evaluate(model, prepared.store.batches(prepared.split.test, size))
    if config.data.test_path:
        extra = read_source(config, config_path.parent, config.data.test_path)
        forces = "forces" if config.data.forces else None
        store = GraphStore(extra, find_edges(extra, model.cutoff), config.data.property, forces, model.dtype)
        test[Path(config.data.test_path).stem] = evaluate(model, store.batches(np.arange(len(extra)), size))
    card = make_card(config, config_path, prepared, fit, seconds, test)
    model.config = replace(model.config, card=card)
    atomic_write(out / CARD, lambda part: part.write_text(json.dumps(card, indent=1, ensure_ascii=False)))
    save_model(model, out / MODEL)
    for name, errors in test.items():
        report(f"{config.name}: {name} ({errors.n} structures): {errors.line()}")
    return TrainResult(out / MODEL, out / CARD, card, test)


def make_card(
    config: TrainConfig, config_path: Path, prepared: _Prepared, fit: Fit, seconds: float, test: dict[str, Errors]
) -> dict[str, Any]:
    """What a user must know of a model: how it was made and how wrong it is."""
    split = prepared.split
    errors = {
        name: {"structures": e.n} | {key: f"{value:.4g} {unit}" for key, (value, unit) in e.quantities().items()}
        for name, e in test.items()
    }
    return {
        "name": config.name,
        "data": f"{prepared.dataset.name}: {prepared.dataset.source}",
        "data notes": list(prepared.dataset.notes),
        "split": {"train": len(split.train), "validation": len(split.val), "test": len(split.test), "seed": split.seed},
        "seed": config.seed,
        "command": f"atomlens train configs/{config_path.name} --out runs/{config.name}",
        "epochs": fit.epoch,
        "best epoch": fit.best_epoch,
        "hours": round(seconds / 3600, 3),
        "errors": errors,
        "date": datetime.now(UTC).date().isoformat(),
    }


class _Logs:
    """``metrics.csv`` and TensorBoard; rebuilt from the history of a resumed run, so no epoch is there twice."""

    def __init__(self, out: Path, fit: Fit) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = out / "metrics.csv"
        if fit.history:
            atomic_write(self.path, lambda part: _write_rows(part, fit.history))
        else:
            self.path.unlink(missing_ok=True)
        self.board = SummaryWriter(str(out / "tensorboard"), purge_step=fit.epoch + 1)

    def add(self, result: EpochResult) -> None:
        row = result.row()
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        for name, value in row.items():
            self.board.add_scalar(name, value, result.epoch)

    def close(self) -> None:
        self.board.close()


def _write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _save(path: Path, config: TrainConfig, fit: Fit, seconds: float) -> None:
    state = {"format": _FORMAT, "config": asdict(config), "seconds": seconds, "fit": fit.state()}
    atomic_write(path, lambda part: torch.save(state, part))


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
