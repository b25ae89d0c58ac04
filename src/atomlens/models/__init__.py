"""What predicts: SchNet, PaiNN, their parts, and the files they come in."""

from atomlens.models.config import (
    CutoffConfig,
    ModelConfig,
    OutputConfig,
    RadialConfig,
    ReadoutConfig,
    RepresentationConfig,
)
from atomlens.models.features import AtomFeatures, EdgeFeatures
from atomlens.models.painn import PaiNN
from atomlens.models.potential import Potential, Prediction
from atomlens.models.schnet import SchNet

__all__ = [
    "AtomFeatures",
    "CutoffConfig",
    "EdgeFeatures",
    "ModelConfig",
    "OutputConfig",
    "PaiNN",
    "Potential",
    "Prediction",
    "RadialConfig",
    "ReadoutConfig",
    "RepresentationConfig",
    "SchNet",
]
