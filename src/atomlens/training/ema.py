"""Running mean of the weights, which generalises better than the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    r"""Exponential moving average :math:`\bar w \leftarrow d\,\bar w + (1 - d)\,w` of a model's parameters.

    The decay starts small, :math:`d_n = \min(d, (1 + n) / (10 + n))`, so that early weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = [p.detach().clone() for p in model.parameters()]

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.decay else 0.0
        with torch.no_grad():
            for mean, parameter in zip(self.weights, model.parameters(), strict=True):
                mean.lerp_(parameter, 1.0 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model with averaged weights; its own come back afterwards, also after a failure."""
        own = [p.detach().clone() for p in model.parameters()]
        self._put(model, self.weights)
        try:
            yield
        finally:
            self._put(model, own)

    def state(self) -> dict[str, int | list[Tensor]]:
        """Everything that a resumed run needs."""
        return {"steps": self.steps, "weights": self.weights}

    def restore(self, state: dict) -> None:
        """Take back what `state` gave."""
        self.steps = int(state["steps"])
        self.weights = [new.to(old.device, copy=True) for new, old in zip(state["weights"], self.weights, strict=True)]

    @staticmethod
    def _put(model: nn.Module, weights: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), weights, strict=True):
                parameter.copy_(weight)
