"""Walks and restricted sums on a chain."""

from atomlens.relevance.restricted import AtomSets, restricted_sums
from atomlens.relevance.shares import AtomShares, atom_shares
from atomlens.relevance.strongest import strongest_walks
from atomlens.relevance.walks import Walks, all_walks, count_walks, walk_blocks

__all__ = [
    "AtomSets",
    "AtomShares",
    "Walks",
    "all_walks",
    "atom_shares",
    "count_walks",
    "restricted_sums",
    "strongest_walks",
    "walk_blocks",
]
