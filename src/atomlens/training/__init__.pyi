from .config import DataSettings, FitSettings, ModelSettings, TrainConfig, read_config
from .errors import Errors, TrainingError, evaluate
from .run import TRAINING_FILES, TrainResult, train

__all__ = [
    "TRAINING_FILES",
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
