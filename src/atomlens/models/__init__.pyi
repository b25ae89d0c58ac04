from .activations import Activation, shifted_softplus
from .config import (
    ChargeBalance,
    CutoffConfig,
    CutoffKind,
    LongRangeConfig,
    LongRangeKind,
    ModelConfig,
    OutputConfig,
    RadialConfig,
    RadialKind,
    ReadoutConfig,
    RepresentationConfig,
)
from .domain import DOMAIN, Domain, outside
from .elements import unseen_elements
from .facts import ModelFacts, written
from .fast import half_of_edges
from .features import AtomFeatures, EdgeFeatures, edge_features, mix_vectors, sum_edges
from .files import (
    CARD_KEYS,
    ZOO,
    build_potential,
    empty_potential,
    header_elements,
    named_tensors,
    read_model,
    save_model,
    with_card,
    write_atomically,
    zoo_config,
    zoo_names,
    zoo_path,
)
from .long_range import LongRange, PairTerms
from .painn import PaiNN, PaiNNInteraction, PaiNNMixing
from .potential import Potential, Prediction, UnseenElementWarning
from .readouts import AtomNetwork, Atomwise, Dipole
from .schnet import SchNet
from .units import ENERGY_UNITS, to_internal

__all__ = [
    "CARD_KEYS",
    "DOMAIN",
    "ENERGY_UNITS",
    "ZOO",
    "Activation",
    "AtomFeatures",
    "AtomNetwork",
    "Atomwise",
    "ChargeBalance",
    "CutoffConfig",
    "CutoffKind",
    "Dipole",
    "Domain",
    "EdgeFeatures",
    "LongRange",
    "LongRangeConfig",
    "LongRangeKind",
    "ModelConfig",
    "ModelFacts",
    "OutputConfig",
    "PaiNN",
    "PaiNNInteraction",
    "PaiNNMixing",
    "PairTerms",
    "Potential",
    "Prediction",
    "RadialConfig",
    "RadialKind",
    "ReadoutConfig",
    "RepresentationConfig",
    "SchNet",
    "UnseenElementWarning",
    "build_potential",
    "edge_features",
    "empty_potential",
    "half_of_edges",
    "header_elements",
    "mix_vectors",
    "named_tensors",
    "outside",
    "read_model",
    "save_model",
    "shifted_softplus",
    "sum_edges",
    "to_internal",
    "unseen_elements",
    "with_card",
    "write_atomically",
    "written",
    "zoo_config",
    "zoo_names",
    "zoo_path",
]
