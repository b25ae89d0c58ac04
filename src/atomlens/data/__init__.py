"""Data sets: QM9, trajectories, splits, and batches of them without delay."""

from atomlens.data.batches import Batch, GraphStore, epoch_order
from atomlens.data.consistency import ForceCheck, check_forces, require_matching_forces
from atomlens.data.dataset import Column, Dataset, ragged_rows
from atomlens.data.edges import EdgeTable, find_edges
from atomlens.data.md import Units, read_dataset
from atomlens.data.organic import OrganicSettings, make_organic
from atomlens.data.qm9 import load_qm9
from atomlens.data.splits import Split, load_split, make_group_split, make_split, save_split
from atomlens.data.storage import cache_folder, load_dataset, save_dataset
from atomlens.data.xtb import TrajectoryError, XtbSettings, make_xtb

__all__ = [
    "Batch",
    "Column",
    "Dataset",
    "EdgeTable",
    "ForceCheck",
    "GraphStore",
    "OrganicSettings",
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
    "make_group_split",
    "make_organic",
    "make_split",
    "make_xtb",
    "ragged_rows",
    "read_dataset",
    "require_matching_forces",
    "save_dataset",
    "save_split",
]
