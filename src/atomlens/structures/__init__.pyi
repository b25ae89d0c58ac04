from .arguments import Precision, as_dtype, need_structure
from .bonds import BOND_CLASSES, MOST_ORDERED, BondTable, charge_or_zero, fragments, perceive_bonds, side_of
from .checks import MIN_SIDE, check_atoms, check_file_atoms, check_molecule
from .electrons import stated_charge, unpaired_electrons
from .errors import InputError, NothingDone, StructureWarning
from .extras import install_command
from .files import check_regular, is_plain, structure_file
from .graph import AtomGraph, collate
from .memory import machine_memory
from .neighbors import build_graph
from .notes import add_note, geometry_note, reading_notes
from .pairs import near_pairs
from .reading import ReadFrames, frame_index, holds_xyz, read_frames, read_structures, warn_of_notes, where
from .smiles import structure_from_smiles
from .symbols import element_of
from .whole import is_whole
from .xyz import frame_places, read_frame

__all__ = [
    "BOND_CLASSES",
    "MIN_SIDE",
    "MOST_ORDERED",
    "AtomGraph",
    "BondTable",
    "InputError",
    "NothingDone",
    "Precision",
    "ReadFrames",
    "StructureWarning",
    "add_note",
    "as_dtype",
    "build_graph",
    "charge_or_zero",
    "check_atoms",
    "check_file_atoms",
    "check_molecule",
    "check_regular",
    "collate",
    "element_of",
    "fragments",
    "frame_index",
    "frame_places",
    "geometry_note",
    "holds_xyz",
    "install_command",
    "is_plain",
    "is_whole",
    "machine_memory",
    "near_pairs",
    "need_structure",
    "perceive_bonds",
    "read_frame",
    "read_frames",
    "read_structures",
    "reading_notes",
    "side_of",
    "stated_charge",
    "structure_file",
    "structure_from_smiles",
    "unpaired_electrons",
    "warn_of_notes",
    "where",
]
