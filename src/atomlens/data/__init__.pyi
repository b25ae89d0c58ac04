from .batches import Batch, GraphStore, epoch_order
from .consistency import ForceCheck, check_forces, require_matching_forces
from .dataset import Column, Dataset, ragged_rows
from .digest import digest
from .domain import training_domain
from .edges import EdgeTable, find_edges
from .finite import require_finite
from .keys import Keys
from .organic import OrganicSettings, make_organic
from .qm9 import load_qm9
from .reading import read_dataset
from .splits import Split, SplitOrigin, load_origin, load_split, make_group_split, make_split, save_split
from .storage import cache_folder, load_dataset, save_dataset
from .units import Units, shown
from .xtb import TrajectoryError, XtbSettings, make_xtb

__all__ = [
    "Batch",
    "Column",
    "Dataset",
    "EdgeTable",
    "ForceCheck",
    "GraphStore",
    "Keys",
    "OrganicSettings",
    "Split",
    "SplitOrigin",
    "TrajectoryError",
    "Units",
    "XtbSettings",
    "cache_folder",
    "check_forces",
    "digest",
    "epoch_order",
    "find_edges",
    "load_dataset",
    "load_origin",
    "load_qm9",
    "load_split",
    "make_group_split",
    "make_organic",
    "make_split",
    "make_xtb",
    "ragged_rows",
    "read_dataset",
    "require_finite",
    "require_matching_forces",
    "save_dataset",
    "save_split",
    "shown",
    "training_domain",
]
