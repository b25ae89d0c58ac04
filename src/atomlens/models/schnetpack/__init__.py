"""SchNetPack's model files, read and written without SchNetPack.

Read are the whole-model files of SchNetPack 2.0 to 2.2 (``best_model``): SchNet, PaiNN and SO3net with Atomwise,
DipoleMoment or Polarizability. Such a file is a pickle, which may name any code; none is ever run here.
"""

from atomlens.models.schnetpack.archive import LEGACY_START, Archive, open_legacy, open_zip
from atomlens.models.schnetpack.convert import convert
from atomlens.models.schnetpack.export import save_schnetpack_state_dict
from atomlens.models.schnetpack.unpickler import read_pickle

__all__ = [
    "LEGACY_START",
    "Archive",
    "convert",
    "open_legacy",
    "open_zip",
    "read_pickle",
    "save_schnetpack_state_dict",
]
