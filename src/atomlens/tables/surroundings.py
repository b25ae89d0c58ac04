"""How the atoms of a pair lie to each other: distance, bond, number of bonds between them."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
from ase.geometry import find_mic
from jaxtyping import Bool, Float, Int

from atomlens.structures import BondTable, fragments, perceive_bonds
from atomlens.tables.groups import AtomGroups

# Position of two atoms along the chain of bonds, from nearest to furthest: bonded, one atom between, two between,
# more than two, no chain of bonds at all.
RELATIONS = ("1-2", "1-3", "1-4", "further", "other molecule")


@dataclass(frozen=True)
class Surroundings:
    """Geometry and bonds of one structure, asked pair by pair.

    Attributes
    ----------
    atoms
        The structure.
    bonds
        Its covalent bonds.
    molecule
        Number of the covalent fragment of every atom, shape (N,).
    groups
        Named sets of atoms, if any were asked for.
    """

    atoms: ase.Atoms
    bonds: BondTable
    molecule: Int[np.ndarray, " N"]
    groups: AtomGroups | None = None

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of every atom."""
        return list(self.atoms.symbols)

    @property
    def labels(self) -> list[str]:
        """Short name of every atom: element and index, counted from 0 ("C0")."""
        return [f"{symbol}{k}" for k, symbol in enumerate(self.atoms.symbols)]

    def vectors(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Float[np.ndarray, "M 3"]:
        """Shortest vectors from atoms i to atoms j in Å, over all periodic images."""
        return nearest_vectors(self.atoms, i, j)

    def distances(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Shortest distances between atoms i and j in Å, over all periodic images."""
        return np.linalg.norm(self.vectors(i, j), axis=1)

    def beside(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Bool[np.ndarray, " M"]:
        """Whether the nearest image of atom j to atom i is j itself, and not one beyond a face of the cell."""
        direct = self.atoms.positions[j] - self.atoms.positions[i]
        return np.abs(self.vectors(i, j) - direct).max(axis=1, initial=0.0) < 1e-6

    def bond_classes(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> list[str]:
        """Bond class of every pair: one of `atomlens.structures.bonds.BOND_CLASSES`."""
        orders = bond_orders(self.bonds.pairs, self.bonds.orders, len(self.atoms), i, j)
        return [self.bonds.bond_class(order) for order in orders.tolist()]

    def relations(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """Index into `RELATIONS` of every pair."""
        return bond_relations(self.bonds.pairs, self.molecule, i, j)


def survey(atoms: ase.Atoms, groups: AtomGroups | None = None, bonds: BondTable | None = None) -> Surroundings:
    """Perceive the bonds of a structure and remember where its atoms are."""
    bonds = perceive_bonds(atoms) if bonds is None else bonds
    molecule = np.zeros(len(atoms), dtype=np.int64)
    for number, members in enumerate(fragments(atoms, bonds)):
        molecule[members] = number
    return Surroundings(atoms, bonds, molecule, groups)


def nearest_vectors(atoms: ase.Atoms, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Float[np.ndarray, "M 3"]:
    """Shortest vectors from atoms i to atoms j of a structure in Å, over all periodic images."""
    positions, n = atoms.positions, len(atoms)
    if len(i) == 0 or not atoms.pbc.any():
        return positions[j] - positions[i]
    # Triples and walks name the same pairs over and over; the search through images is done once a pair.
    pairs, where = np.unique(i.astype(np.int64) * n + j, return_inverse=True)
    difference = positions[pairs % n] - positions[pairs // n]
    # ASE's annotation says bool; it takes one flag per direction.
    nearest = find_mic(difference, atoms.cell, atoms.pbc)[0]  # pyright: ignore[reportArgumentType]
    return nearest[where.reshape(-1)]


def bond_orders(
    pairs: Int[np.ndarray, "B 2"],
    orders: Float[np.ndarray, " B"],
    n_atoms: int,
    i: Int[np.ndarray, " M"],
    j: Int[np.ndarray, " M"],
) -> Float[np.ndarray, " M"]:
    """Bond order between atoms i and j, 0 where there is no bond."""
    if not len(pairs):
        return np.zeros(len(i))
    ends, other_ends = _both_ways(pairs)
    keys = ends * n_atoms + other_ends
    order = np.argsort(keys)
    wanted = i.astype(np.int64) * n_atoms + j
    place = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    return np.where(keys[place] == wanted, orders[place % len(pairs)], 0.0)


def bond_relations(
    pairs: Int[np.ndarray, "B 2"],
    molecule: Int[np.ndarray, " N"],
    i: Int[np.ndarray, " M"],
    j: Int[np.ndarray, " M"],
) -> Int[np.ndarray, " M"]:
    """Index into `RELATIONS` of atoms i and j, from the bonded pairs and the covalent fragment of every atom."""
    n_atoms = len(molecule)
    ends, other_ends = _both_ways(pairs)
    bonds = other_ends[np.argsort(ends, kind="stable")], np.bincount(ends, minlength=n_atoms)
    paths = [(ends, other_ends)]
    for _ in range(2):
        paths.append(_one_bond_on(*paths[-1], *bonds))
    wanted = i.astype(np.int64) * n_atoms + j
    relation = np.where(molecule[i] == molecule[j], 3, 4)
    for number, (start, end) in reversed(list(enumerate(paths))):
        relation[np.isin(wanted, start * n_atoms + end)] = number
    return relation


def _both_ways(pairs: Int[np.ndarray, "B 2"]) -> tuple[Int[np.ndarray, " D"], Int[np.ndarray, " D"]]:
    a, b = pairs.T.astype(np.int64)
    return np.concatenate([a, b]), np.concatenate([b, a])


def _one_bond_on(
    start: Int[np.ndarray, " P"],
    end: Int[np.ndarray, " P"],
    neighbours: Int[np.ndarray, " D"],
    degrees: Int[np.ndarray, " N"],
) -> tuple[Int[np.ndarray, " Q"], Int[np.ndarray, " Q"]]:
    """Paths that are one bond longer; bonded neighbours are listed atom by atom."""
    more = degrees[end]
    first = np.cumsum(degrees) - degrees
    within = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more)
    return np.repeat(start, more), neighbours[np.repeat(first[end], more) + within]
