from .batches import Batch, GraphStore, epoch_order
from .consistency import ForceCheck, check_forces, require_matching_forces
from .dataset import Column, Dataset, ragged_rows
from .edges import EdgeTable, find_edges
from .md import Units, read_dataset
from .qm9 import load_qm9
from .splits import Split, load_split, make_split, save_split
from .storage import cache_folder, load_dataset, save_dataset
from .units import shown
from .xtb import TrajectoryError, XtbSettings, make_xtb

__all__ = [
    "Batch",
    "Column",
    "Dataset",
    "EdgeTable",
    "ForceCheck",
    "GraphStore",
    "Split",
    "TrajectoryError",
    "Units",
    "XtbSettings",
    "cache_folder",
    "check_forces",
    "epoch_order",
    "find_edges",
    "load_dataset",
    "load_qm9",
    "load_split",
    "make_split",
    "make_xtb",
    "ragged_rows",
    "read_dataset",
    "require_matching_forces",
    "save_dataset",
    "save_split",
    "shown",
]
