"""Chemical bonds and fragments, perceived by RDKit from the geometry."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from jaxtyping import Float, Int
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from atomlens.structures.pairs import near_pairs
from atomlens.structures.whole import is_whole

# Names of the bond classes, in the order in which tables and pages list them; "unknown" is a bond without an order.
BOND_CLASSES = ("single", "aromatic", "double", "triple", "unknown", "none")

# Bond orders are looked for in structures of at most so many atoms.
MOST_ORDERED = 200
# RDKit joins atoms whose distance is at most the sum of their covalent radii and so much more, Å.
_BOND_TOLERANCE = 0.45

# Key of `ase.Atoms.info` under which bonds are kept that a file or a SMILES string gives.
_KNOWN = "atomlens_bonds"


@dataclass(frozen=True)
class BondTable:
    """Covalent bonds of one structure.

    Attributes
    ----------
    pairs
        Bonded atoms i < j, shape (B, 2).
    orders
        Bond orders (1, 1.5, 2, 3), shape (B,). All 1 where only connectivity could be perceived.
    has_orders
        Whether RDKit could assign bond orders at the given total charge.
    n_atoms
        Number of atoms.
    """

    pairs: Int[np.ndarray, "B 2"]
    orders: Float[np.ndarray, " B"]
    has_orders: bool
    n_atoms: int

    def order_matrix(self) -> Float[np.ndarray, "N N"]:
        """Bond order of every pair of atoms, 0 where there is no bond."""
        matrix = np.zeros((self.n_atoms, self.n_atoms))
        matrix[self.pairs[:, 0], self.pairs[:, 1]] = self.orders
        return matrix + matrix.T

    def topological_distances(self, max_distance: int = 6) -> Int[np.ndarray, "N N"]:
        """Number of bonds on the shortest path, 0 for unconnected pairs and paths above `max_distance`."""
        neighbours: list[list[int]] = [[] for _ in range(self.n_atoms)]
        for i, j in self.pairs.tolist():
            neighbours[i].append(j)
            neighbours[j].append(i)
        distances = np.zeros((self.n_atoms, self.n_atoms), dtype=np.int64)
        for start in range(self.n_atoms):
            seen = {start: 0}
            queue = deque([start])
            while queue:
                atom = queue.popleft()
                if seen[atom] == max_distance:
                    continue
                for other in neighbours[atom]:
                    if other not in seen:
                        seen[other] = seen[atom] + 1
                        queue.append(other)
            distances[start, list(seen)] = list(seen.values())
        return distances

    def bond_class(self, order: float) -> str:
        """Name of the bond class of a bond order, one of `BOND_CLASSES`; "unknown" where orders are not known."""
        if order == 0:
            return "none"
        if not self.has_orders:
            return "unknown"
        return {1.0: "single", 1.5: "aromatic", 2.0: "double", 3.0: "triple"}.get(order, "unknown")


def perceive_bonds(atoms: ase.Atoms, charge: int | None = None) -> BondTable:
    """Bonds of a molecule from its geometry (RDKit ``rdDetermineBonds``).

    Connectivity comes from covalent radii, orders from the total `charge` in e (where None:
    ``atoms.info["charge"]`` if it is a whole number, else 0). Where orders cannot be assigned
    (a radical, another charge, metals, more than 200 atoms) connectivity alone is kept and `has_orders` is False.
    In a periodic structure bonds go through the faces of the cell. Where an atom is bonded to two images of another,
    or to one of its own, orders say nothing: connectivity alone is kept, one bond for each pair of atoms.
    Bonds that a SMILES string or an SDF file gives are taken as they are, as long as the atoms have not moved since and
    no other `charge` is asked about.
    """
    if charge is None and (known := _known_bonds(atoms)) is not None:
        return known
    charge = charge_or_zero(atoms) if charge is None else charge
    bonds, several = _connectivity(atoms)
    has_orders = len(atoms) <= MOST_ORDERED and not several
    if has_orders:
        mol = _molecule(atoms.numbers, atoms.positions)
        for i, j in bonds:
            mol.AddBond(i, j, Chem.BondType.SINGLE)
        mol = mol.GetMol()
        try:
            with rdBase.BlockLogs():  # RDKit prints its failed guesses; a failed guess is an answer here
                rdDetermineBonds.DetermineBondOrders(mol, charge=charge, allowChargedFragments=True, maxIterations=2000)
            return _table(_bonds_of(mol), True, len(atoms))
        except (ValueError, RuntimeError, IndexError):  # the last for metals, from RDKit of 2025
            pass
    return _table([(i, j, 1.0) for i, j in bonds], False, len(atoms))


def _connectivity(atoms: ase.Atoms) -> tuple[list[tuple[int, int]], bool]:
    """Bonded atoms i < j, and whether an atom is bonded to several images of another, or to one of its own."""
    n = len(atoms)
    owner, positions = np.arange(n), atoms.positions
    if atoms.pbc.any():
        owner, positions = _with_images(atoms)
    mol = _molecule(atoms.numbers[owner], positions).GetMol()
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineConnectivity(mol)
    found, several = set(), False
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        for a, b in (ends, ends[::-1]):
            i, j = int(owner[a]), int(owner[b])
            # Each bond through a face is seen from both of its atoms; that of the lower number counts.
            if a < n and i <= j:
                several = several or i == j or (i, j) in found
                found.add((i, j))
    return sorted((i, j) for i, j in found if i != j), several


def _with_images(atoms: ase.Atoms) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, "M 3"]]:
    """Atoms of a cell and, after them, all images that they or their bonded neighbours could be bonded to."""
    table = Chem.GetPeriodicTable()
    longest = 2 * max(table.GetRcovalent(int(z)) for z in np.unique(atoms.numbers)) + _BOND_TOLERANCE
    _, j, offsets = near_pairs(atoms, 2 * longest)
    away = (np.abs(offsets) > 1e-6).any(axis=1)
    images = np.unique(np.column_stack([j[away], np.round(offsets[away], 6)]), axis=0)
    owner = np.concatenate([np.arange(len(atoms)), images[:, 0].astype(np.int64)])
    return owner, np.concatenate([atoms.positions, atoms.positions[owner[len(atoms) :]] + images[:, 1:]])


def _molecule(numbers: Int[np.ndarray, " M"], positions: Float[np.ndarray, "M 3"]) -> Any:
    """Atoms in space, without bonds, for RDKit."""
    mol = Chem.RWMol()
    conformer = Chem.Conformer(len(numbers))
    for k, (number, position) in enumerate(zip(numbers.tolist(), positions.tolist(), strict=True)):
        mol.AddAtom(Chem.Atom(number))
        conformer.SetAtomPosition(k, position)
    mol.AddConformer(conformer, assignId=True)
    return mol


def remember_bonds(atoms: ase.Atoms, molecule: Any) -> None:
    """Keep the bonds of an RDKit molecule with the structure that was made of it, atom by atom."""
    kept = {"bonds": _bonds_of(molecule), "atoms": _fingerprint(atoms)}
    atoms.info[_KNOWN] = json.dumps(kept)  # a text, so that every format which ASE writes can keep it


def _known_bonds(atoms: ase.Atoms) -> BondTable | None:
    told = atoms.info.get(_KNOWN)
    if not isinstance(told, str):
        return None
    try:
        kept = json.loads(told)
        if kept["atoms"] != _fingerprint(atoms):
            return None
        bonds = [(int(i), int(j), float(order)) for i, j, order in kept["bonds"]]
    except (
        ArithmeticError,
        RecursionError,
        ValueError,
        TypeError,
        KeyError,
    ):  # a file may hold anything under that name
        return None
    inside = all(0 <= i < j < len(atoms) and order in (1.0, 1.5, 2.0, 3.0) for i, j, order in bonds)
    return _table(bonds, True, len(atoms)) if inside else None


def _fingerprint(atoms: ase.Atoms) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(atoms.numbers, dtype=np.int64).tobytes())
    digest.update(np.ascontiguousarray(np.round(atoms.positions, 5) + 0.0).tobytes())  # + 0.0: no negative zeros
    return digest.hexdigest()


def _bonds_of(molecule: Any) -> list[tuple[int, int, float]]:
    return sorted(
        (
            min(b.GetBeginAtomIdx(), b.GetEndAtomIdx()),
            max(b.GetBeginAtomIdx(), b.GetEndAtomIdx()),
            b.GetBondTypeAsDouble(),
        )
        for b in molecule.GetBonds()
    )


def _table(bonds: list[tuple[int, int, float]], has_orders: bool, n_atoms: int) -> BondTable:
    return BondTable(
        pairs=np.array([bond[:2] for bond in bonds], dtype=np.int64).reshape(-1, 2),
        orders=np.array([bond[2] if has_orders else 1.0 for bond in bonds], dtype=np.float64),
        has_orders=has_orders,
        n_atoms=n_atoms,
    )


def charge_or_zero(atoms: ase.Atoms) -> int:
    """Total charge in e that a file or a SMILES string gives; 0 where it gives none, or no whole number."""
    told = atoms.info.get("charge", 0)
    # Files may hold anything under that name.
    return int(told) if is_whole(told) else 0


def fragments(atoms: ase.Atoms, bonds: BondTable | None = None) -> list[list[int]]:
    """Atoms of every covalently connected fragment (molecule), in order of their first atom.

    Examples
    --------
    >>> import ase
    >>> fragments(ase.Atoms("HHHe", positions=[[0, 0, 0], [0, 0, 0.74], [0, 0, 9]]))
    [[0, 1], [2]]
    """
    bonds = perceive_bonds(atoms) if bonds is None else bonds
    label = list(range(len(atoms)))

    def root(k: int) -> int:
        while label[k] != k:
            label[k] = label[label[k]]
            k = label[k]
        return k

    for i, j in bonds.pairs.tolist():
        a, b = root(i), root(j)
        label[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = {}
    for k in range(len(atoms)):
        groups.setdefault(root(k), []).append(k)
    return list(groups.values())


def side_of(atoms: ase.Atoms, pairs: Int[np.ndarray, "B 2"], i: int, j: int) -> list[int]:
    """Atoms that move with j when the bond i-j is stretched: its side of the molecule; j alone in a ring.

    Examples
    --------
    >>> side_of(ase.Atoms("C4"), np.array([[0, 1], [1, 2], [2, 3]]), 1, 2)
    [2, 3]
    """
    others = pairs[(np.sort(pairs, axis=1) != sorted((i, j))).any(axis=1)]
    joined = BondTable(others, np.ones(len(others)), False, len(atoms))
    (side,) = (part for part in fragments(atoms, joined) if j in part)
    return [j] if i in side else side
