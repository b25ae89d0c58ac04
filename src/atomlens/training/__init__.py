"""Fitting the models."""

from atomlens.training.config import DataSettings, FitSettings, ModelSettings, TrainConfig, read_config
from atomlens.training.errors import Errors, TrainingError, evaluate
from atomlens.training.run import TrainResult, train

__all__ = [
    "DataSettings",
    "Errors",
    "FitSettings",
    "ModelSettings",
    "TrainConfig",
    "TrainResult",
    "TrainingError",
    "evaluate",
    "read_config",
    "train",
]
