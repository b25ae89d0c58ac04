from .archive import LEGACY_START, Archive, open_legacy, open_zip
from .convert import convert
from .export import save_schnetpack_state_dict
from .provenance import check_energy_unit
from .unpickler import read_pickle

__all__ = [
    "LEGACY_START",
    "Archive",
    "check_energy_unit",
    "convert",
    "open_legacy",
    "open_zip",
    "read_pickle",
    "save_schnetpack_state_dict",
]
