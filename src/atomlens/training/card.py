"""The card of a trained model: how it was made, and how wrong it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from atomlens.data import training_domain
from atomlens.models import DOMAIN
from atomlens.training.config import TrainConfig
from atomlens.training.errors import Errors
from atomlens.training.loop import Fit
from atomlens.training.prepare import Prepared


def make_card(
    config: TrainConfig, command: str, prepared: Prepared, fit: Fit, seconds: float, test: Mapping[str, Errors]
) -> dict[str, Any]:
    """What a user must know of a model: how it was made, by the command as it was typed, and how wrong it is."""
    split = prepared.split
    errors = {
        name: {"structures": e.n} | {key: f"{value:.4g} {unit}" for key, (value, unit) in e.quantities().items()}
        for name, e in test.items()
    }
    return {
        "name": config.name,
        "data": config.data.description or f"{prepared.dataset.name}: {prepared.dataset.source}",
        "data notes": list(prepared.dataset.notes),
        "split": {"train": len(split.train), "validation": len(split.val), "test": len(split.test), "seed": split.seed},
        DOMAIN: training_domain(prepared.dataset, split.train, prepared.model.cutoff).to_card(),
        "seed": config.seed,
        "command": command,
        "epochs": fit.epoch,
        "best epoch": fit.best_epoch,
        "hours": round(seconds / 3600, 3),
        **({} if fit.penalty is None else {"penalty": getattr(fit.penalty, "__name__", type(fit.penalty).__name__)}),
        "errors": errors,
        "date": datetime.now(UTC).date().isoformat(),
    }
