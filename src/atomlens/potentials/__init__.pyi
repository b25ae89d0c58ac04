from .loading import load_model
from .schnetpack import save_schnetpack_state_dict

__all__ = [
    "load_model",
    "save_schnetpack_state_dict",
]
