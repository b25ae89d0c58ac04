from .restricted import AtomSets, restricted_sums
from .shares import AtomShares, atom_shares
from .steps import ragged_arange, repeat_index
from .strongest import strongest_walks
from .walks import Walks, all_walks, count_walks, walk_blocks

__all__ = [
    "AtomSets",
    "AtomShares",
    "Walks",
    "all_walks",
    "atom_shares",
    "count_walks",
    "ragged_arange",
    "repeat_index",
    "restricted_sums",
    "strongest_walks",
    "walk_blocks",
]
