from .dynamics import AtomlensCalculator
from .interactions import Explanation, Interactions, Terms, explain, explain_batch, explain_chain, explain_module
from .models import ModelConfig, Potential, Prediction, save_model, zoo_names
from .potentials import load_model
from .relevance import AtomShares, Walks
from .structures import AtomGraph, InputError, build_graph, read_structures

__version__: str

__all__ = [
    "AtomGraph",
    "AtomShares",
    "AtomlensCalculator",
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
    "explain_batch",
    "explain_chain",
    "explain_module",
    "load_model",
    "read_structures",
    "save_model",
    "zoo_names",
]
