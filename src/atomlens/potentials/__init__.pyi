from .foreign import ForeignModel
from .loading import load_model, load_potential
from .opened import AnyModel, OpenedModel, Origin
from .registry import ARCHITECTURES, Architecture, shipped_with_a_library
from .schnetpack import save_schnetpack_state_dict

__all__ = [
    "ARCHITECTURES",
    "AnyModel",
    "Architecture",
    "ForeignModel",
    "OpenedModel",
    "Origin",
    "load_model",
    "load_potential",
    "save_schnetpack_state_dict",
    "shipped_with_a_library",
]
