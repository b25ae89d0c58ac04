from .config import DataSettings, FitSettings, ModelSettings, TrainConfig, read_config
from .errors import Errors, TrainingError, evaluate, load_errors
from .run import ERRORS, TRAINING_FILES, TrainResult, train

__all__ = [
    "ERRORS",
    "TRAINING_FILES",
    "DataSettings",
    "Errors",
    "FitSettings",
    "ModelSettings",
    "TrainConfig",
    "TrainResult",
    "TrainingError",
    "evaluate",
    "load_errors",
    "read_config",
    "train",
]
