from .bonds import BOND_CLASSES, BondTable, fragments, perceive_bonds
from .errors import InputError, NothingDone
from .graph import AtomGraph, collate
from .neighbors import build_graph
from .reading import check_atoms, frame_index, read_structures, structure_file
from .smiles import geometry_note, structure_from_smiles

__all__ = [
    "BOND_CLASSES",
    "AtomGraph",
    "BondTable",
    "InputError",
    "NothingDone",
    "build_graph",
    "check_atoms",
    "collate",
    "fragments",
    "frame_index",
    "geometry_note",
    "perceive_bonds",
    "read_structures",
    "structure_file",
    "structure_from_smiles",
]
