from .foreign import ForeignModel
from .loading import load_model, load_potential
from .opened import AnyModel, OpenedModel
from .registry import ARCHITECTURES, Architecture
from .schnetpack import save_schnetpack_state_dict

__all__ = [
    "ARCHITECTURES",
    "AnyModel",
    "Architecture",
    "ForeignModel",
    "OpenedModel",
    "load_model",
    "load_potential",
    "save_schnetpack_state_dict",
]
