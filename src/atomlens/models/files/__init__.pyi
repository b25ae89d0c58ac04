from .checkpoint import read_model, save_model, write_atomically
from .headers import header_elements
from .shipped import CARD_KEYS, DEFAULT_MODEL, ZOO, is_zoo_name, zoo_config, zoo_names, zoo_path
from .weights import build_potential, empty_potential, named_tensors, with_card

__all__ = [
    "CARD_KEYS",
    "DEFAULT_MODEL",
    "ZOO",
    "build_potential",
    "empty_potential",
    "header_elements",
    "is_zoo_name",
    "named_tensors",
    "read_model",
    "save_model",
    "with_card",
    "write_atomically",
    "zoo_config",
    "zoo_names",
    "zoo_path",
]
