"""The loop over epochs: the whole state of a run, one epoch of it, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from atomlens.data import Batch, GraphStore, Split, epoch_order
from atomlens.folders import whole
from atomlens.models import Potential
from atomlens.training.config import FitSettings
from atomlens.training.ema import WeightAverage
from atomlens.training.errors import Errors, TrainingError, evaluate

# A further term of the loss: of the model and the number of the step, counted from 0 over all epochs.
Penalty = Callable[[Potential, int], Tensor]
# A standardised loss starts near 1. One this large is past recovery: every gradient is clipped noise.
_DIVERGED = 1e6
# What the plateau schedule has seen; its patience and factor are settings.
_SCHEDULE = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave: number, losses in units of the model's scale squared, learning rate, validation errors."""

    epoch: int
    train_loss: float
    val_loss: float
    lr: float
    val: Errors

    def row(self) -> dict[str, float]:
        """Flat row for logs; the unit stands in the name of every error."""
        errors = {f"val {name} [{unit}]": value for name, (value, unit) in self.val.quantities().items()}
        losses = {"epoch": self.epoch, "train loss": self.train_loss, "val loss": self.val_loss, "lr": self.lr}
        return losses | errors


class Fit:
    """A run between two epochs: weights, optimiser, schedule, averages and history.

    Everything that decides how the run continues is in `state`. The order of the batches is a function of seed
    and epoch (`atomlens.data.epoch_order`), so the epoch's number is the sampler's position.

    Parameters
    ----------
    model, settings, seed
        What is fitted, how, and in which order.
    penalty
        Added to the loss of every step, already weighted; it must depend on nothing but the model and the number of the
        step, or runs that were killed end elsewhere.
    """

    def __init__(self, model: Potential, settings: FitSettings, seed: int, penalty: Penalty | None = None) -> None:
        self.settings = settings
        self.seed = seed
        self.penalty = penalty
        self.model = model
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer,
            factor=settings.plateau_factor,
            patience=settings.plateau_patience,
            min_lr=settings.min_lr,
        )
        self.average = WeightAverage(model, settings.ema_decay)
        self.epoch = 0
        self.force_mae = math.inf  # of the last epoch, on validation structures
        self.best_loss = math.inf
        self.best_epoch = 0
        self.best_weights = [p.detach().clone() for p in model.parameters()]
        self.history: list[dict[str, float]] = []

    @property
    def reached(self) -> bool:
        """Whether the last epoch has the force error that the settings ask for."""
        wanted = self.settings.stop_force_mae
        return wanted is not None and self.force_mae <= wanted

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, the wanted error is reached, or validation has not improved for long enough."""
        patience = self.settings.stop_patience
        tired = patience is not None and self.epoch - self.best_epoch > patience
        return self.reached or tired or self.epoch >= self.settings.epochs

    def run_epoch(self, store: GraphStore, split: Split) -> EpochResult:
        """Learn from every training structure once, then validate the averaged weights.

        Raises
        ------
        TrainingError
            If the loss is no number any more, or so large that the run has diverged.
        """
        epoch = self.epoch + 1
        lr = self._set_rate()
        loss_sum, seen = 0.0, 0
        steps_before = self.epoch * -(-len(split.train) // self.settings.batch_size)
        for step, batch in enumerate(self._batches(store, split.train, epoch), start=1):
            loss = self._step(batch, steps_before + step - 1)
            if not loss < _DIVERGED:
                kept = "the last whole epoch is kept" if self.epoch else "no epoch was finished, nothing is kept"
                raise TrainingError(
                    f"the loss became {loss:.3g} in epoch {epoch}, step {step} (learning rate {lr:g}); lower fit.lr or "
                    f"fit.clip, or look for frames with wrong energies or forces; {kept}"
                )
            loss_sum += loss * batch.graph.n_graphs
            seen += batch.graph.n_graphs
        with self.average.applied(self.model):
            val = evaluate(self.model, store.batches(split.val, self.settings.validate_batch_size))
        val_loss = self._loss_of(val)
        if self.settings.schedule == "plateau":
            self.schedule.step(val_loss)
        self.epoch = epoch
        self.force_mae = math.inf if val.force_mae is None else val.force_mae
        if val_loss < self.best_loss or self.reached:
            self.best_loss, self.best_epoch = val_loss, epoch
            self.best_weights = [w.clone() for w in self.average.weights]
        result = EpochResult(epoch, loss_sum / seen, val_loss, lr, val)
        self.history.append(result.row())
        return result

    def use_best(self) -> Potential:
        """The model with the weights of the best epoch."""
        with torch.no_grad():
            for parameter, weight in zip(self.model.parameters(), self.best_weights, strict=True):
                parameter.copy_(weight)
        return self.model

    def state(self) -> dict[str, Any]:
        """Everything that decides how the run continues, as tensors, numbers and lists."""
        return {
            "epoch": self.epoch,
            "force_mae": self.force_mae,
            "weights": [p.detach() for p in self.model.parameters()],
            "buffers": dict(self.model.named_buffers()),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average.state(),
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "history": self.history,
            "rng": torch.get_rng_state(),
            "settings": asdict(self.settings),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises
        ------
        ValueError, LookupError, TypeError, RuntimeError
            If that is not the state of such a fit.
        """
        epoch = whole(state["epoch"], 0, 10**9)
        best_epoch = whole(state["best_epoch"], 0, epoch)
        history = [dict(row) for row in state["history"]]
        if not all(isinstance(value, int | float) for row in history for value in row.values()):
            raise ValueError("its history holds something else than numbers")
        if len(history) != epoch or any(set(row) != set(history[0]) for row in history):
            raise ValueError(f"it has the history of {len(history)} epochs of {epoch}")
        with torch.no_grad():
            for parameter, weight in zip(self.model.parameters(), state["weights"], strict=True):
                parameter.copy_(weight)
            for name, buffer in self.model.named_buffers():
                buffer.copy_(state["buffers"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict({key: state["schedule"][key] for key in _SCHEDULE})
        for group in self.optimizer.param_groups:
            # Settings may be changed between two parts of a run, to lower a rate that diverged for one.
            group["lr"] *= self.settings.lr / state["settings"]["lr"]
            group["weight_decay"] = self.settings.weight_decay
        self.average.restore(state["average"])
        self.epoch, self.history = epoch, history
        self.force_mae = float(state.get("force_mae", math.inf))
        self.best_loss, self.best_epoch = float(state["best_loss"]), best_epoch
        self.best_weights = [w.to(self.model.device, copy=True) for w in state["best_weights"]]
        _check_finite([*self.model.parameters(), *self.best_weights])
        torch.set_rng_state(state["rng"])

    def _set_rate(self) -> float:
        group = self.optimizer.param_groups[0]
        if self.settings.schedule == "cosine":
            low, done = self.settings.min_lr, self.epoch / self.settings.epochs
            group["lr"] = low + 0.5 * (self.settings.lr - low) * (1.0 + math.cos(math.pi * done))
        return float(group["lr"])

    def _batches(self, store: GraphStore, train: Int[np.ndarray, " M"], epoch: int) -> Iterator[Batch]:
        return store.batches(epoch_order(train, self.seed, epoch), self.settings.batch_size)

    def _step(self, batch: Batch, step: int) -> float:
        scale = self.model.scale
        positions = batch.graph.positions.detach().requires_grad_(batch.forces is not None)
        y, charges = self.model.with_charges(replace(batch.graph, positions=positions))
        loss = self.settings.energy_weight * _mean_square(y - batch.target, scale)
        if batch.forces is not None:
            (gradient,) = torch.autograd.grad(y.sum(), positions, create_graph=True)
            loss = loss + self.settings.force_weight * _mean_square(gradient + batch.forces, scale)
        if batch.charges is not None and charges is not None:
            loss = loss + self.settings.charge_weight * (charges - batch.charges).square().mean()
        if self.penalty is not None:
            loss = loss + self.penalty(self.model, step)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        value = float(loss.detach())
        if value < _DIVERGED:
            self.optimizer.step()
            self.average.update(self.model)
        return value

    def _loss_of(self, errors: Errors) -> float:
        scale = float(self.model.scale)
        loss = self.settings.energy_weight * (errors.rmse / scale) ** 2
        if errors.force_rmse is not None:
            loss += self.settings.force_weight * (errors.force_rmse / scale) ** 2
        if errors.charge_rmse is not None:
            loss += self.settings.charge_weight * errors.charge_rmse**2
        return loss


def _check_finite(tensors: list[Tensor]) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise ValueError("its weights are not all finite")


def _mean_square(error: Tensor, scale: Tensor) -> Tensor:
    return (error / scale).square().mean()
