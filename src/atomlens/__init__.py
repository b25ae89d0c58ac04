"""atomlens: which atomic interactions has a neural-network potential learned?

>>> import atomlens
>>> sorted(set(atomlens.__all__))[:3]
['AtomGraph', 'Explanation', 'InputError']
"""

from atomlens.interactions import Explanation, Interactions, Terms, explain
from atomlens.models import ModelConfig, Potential, Prediction, load_model, save_model
from atomlens.relevance import AtomShares, Walks
from atomlens.structures import AtomGraph, InputError, build_graph, read_structures

__version__ = "0.1.0"

__all__ = [
    "AtomGraph",
    "AtomShares",
    "Explanation",
    "InputError",
    "Interactions",
    "ModelConfig",
    "Potential",
    "Prediction",
    "Terms",
    "Walks",
    "__version__",
    "build_graph",
    "explain",
    "load_model",
    "read_structures",
    "save_model",
]
