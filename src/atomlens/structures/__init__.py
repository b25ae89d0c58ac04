"""What the atoms are: graphs, neighbours, reading, bonds."""

from atomlens.structures.bonds import BondTable, fragments, perceive_bonds
from atomlens.structures.errors import InputError
from atomlens.structures.graph import AtomGraph, collate
from atomlens.structures.neighbors import build_graph
from atomlens.structures.reading import check_atoms, read_structures
from atomlens.structures.smiles import geometry_note, structure_from_smiles

__all__ = [
    "AtomGraph",
    "BondTable",
    "InputError",
    "build_graph",
    "check_atoms",
    "collate",
    "fragments",
    "geometry_note",
    "perceive_bonds",
    "read_structures",
    "structure_from_smiles",
]
