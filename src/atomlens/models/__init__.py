"""What predicts: SchNet, PaiNN, SO3net, their parts, and the files they come in."""

from atomlens.models.checkpoint import save_model
from atomlens.models.config import (
    CutoffConfig,
    LongRangeConfig,
    ModelConfig,
    OutputConfig,
    RadialConfig,
    ReadoutConfig,
    RepresentationConfig,
)
from atomlens.models.features import AtomFeatures, EdgeFeatures
from atomlens.models.loading import load_model
from atomlens.models.long_range import LongRange, PairTerms
from atomlens.models.painn import PaiNN
from atomlens.models.potential import Potential, Prediction, UnseenElementWarning
from atomlens.models.schnet import SchNet
from atomlens.models.schnetpack import save_schnetpack_state_dict
from atomlens.models.shipped import CARD_KEYS, zoo_config, zoo_names, zoo_path
from atomlens.models.so3net import SO3net

__all__ = [
    "CARD_KEYS",
    "AtomFeatures",
    "CutoffConfig",
    "EdgeFeatures",
    "LongRange",
    "LongRangeConfig",
    "ModelConfig",
    "OutputConfig",
    "PaiNN",
    "PairTerms",
    "Potential",
    "Prediction",
    "RadialConfig",
    "ReadoutConfig",
    "RepresentationConfig",
    "SO3net",
    "SchNet",
    "UnseenElementWarning",
    "load_model",
    "save_model",
    "save_schnetpack_state_dict",
    "zoo_config",
    "zoo_names",
    "zoo_path",
]
