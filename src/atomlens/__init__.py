"""atomlens: which atomic interactions has a neural-network potential learned?

>>> import atomlens
>>> atomlens.__all__[:3]
['AtomGraph', 'AtomShares', 'Explanation']
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomlens.interactions import Explanation, Interactions, Terms, explain, explain_chain, explain_module
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
    "explain_chain",
    "explain_module",
    "load_model",
    "read_structures",
    "save_model",
]

# Names are imported when they are first used: `atomlens --help` need not wait for torch.
_FOLDERS = {
    "interactions": ("Explanation", "Interactions", "Terms", "explain", "explain_chain", "explain_module"),
    "models": ("ModelConfig", "Potential", "Prediction", "load_model", "save_model"),
    "relevance": ("AtomShares", "Walks"),
    "structures": ("AtomGraph", "InputError", "build_graph", "read_structures"),
}
_HOMES = {name: f"atomlens.{folder}" for folder, names in _FOLDERS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if "IPython" in sys.modules:  # in a notebook, explanations show themselves
    import_module("atomlens.report.jupyter").register()
