"""Tables of many explained structures at once, one row per term, without a table for each structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import ase
import numpy as np
import polars as pl
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from atomlens.interactions import BatchExplanation, explain
from atomlens.potentials import AnyModel
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.relevance import Walks
from atomlens.structures import BOND_CLASSES, BondTable, perceive_bonds
from atomlens.tables.frame import frame_name
from atomlens.tables.rows import atom_rows, no_group, pair_rows, triple_rows, walk_rows
from atomlens.tables.surroundings import bond_orders, bond_relations, nearest_vectors


@dataclass(frozen=True)
class BatchRows:
    """The atoms of many structures, counted through.

    Attributes
    ----------
    structures
        The structures.
    frames
        Number of each structure in its run, shape (G,).
    bonds
        Covalent bonds of each structure.
    """

    structures: Sequence[ase.Atoms]
    frames: Int[np.ndarray, " G"]
    bonds: Sequence[BondTable]

    @cached_property
    def sizes(self) -> Int[np.ndarray, " G"]:
        """Number of atoms of every structure."""
        return np.array([len(atoms) for atoms in self.structures], dtype=np.int64)

    @cached_property
    def starts(self) -> Int[np.ndarray, " G1"]:
        """First atom of every structure and, last, the number of all atoms."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @cached_property
    def owner(self) -> Int[np.ndarray, " N"]:
        """Place in `structures` of every atom's structure."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of every atom."""
        return [symbol for atoms in self.structures for symbol in atoms.symbols]

    @property
    def positions(self) -> Float[np.ndarray, "N 3"]:
        """Positions in Å."""
        return np.concatenate([np.zeros((0, 3)), *(atoms.positions for atoms in self.structures)])

    @cached_property
    def molecule(self) -> Int[np.ndarray, " N"]:
        """Number of the covalent fragment of every atom."""
        n, (a, b) = len(self.owner), self.bonded.T
        return connected_components(csr_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)[1]

    @cached_property
    def bonded(self) -> Int[np.ndarray, "B 2"]:
        """Bonded atoms."""
        shifted = [table.pairs + first for table, first in zip(self.bonds, self.starts[:-1], strict=True)]
        return np.concatenate([np.zeros((0, 2), dtype=np.int64), *shifted])

    def frame(self, atoms: Int[np.ndarray, " M"]) -> pl.Series:
        """Number of the structure that each atom belongs to."""
        return pl.Series(self.frames[self.owner[atoms]].astype(np.int32))

    def number(self, atoms: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """Index of each atom within its structure."""
        return atoms - self.starts[self.owner[atoms]]

    def group(self, atoms: Int[np.ndarray, " M"]) -> pl.Series:
        """No groups here."""
        return no_group(len(atoms))

    def distances(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Shortest distances in Å between atoms of the same structure."""
        vectors = self.positions[j] - self.positions[i]
        for k in self._periodic:
            mine = np.flatnonzero(self.owner[i] == k)
            first = self.starts[k]
            vectors[mine] = nearest_vectors(self.structures[k], i[mine] - first, j[mine] - first)
        return np.linalg.norm(vectors, axis=1)

    def bond_classes(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> pl.Series:
        """Bond class of each pair."""
        # Orders and whether they are known make few classes; each is named once.
        known = np.array([table.has_orders for table in self.bonds], dtype=bool)
        orders = np.concatenate([np.zeros(0), *(table.orders for table in self.bonds)])
        kinds, kind = np.unique(orders, return_inverse=True)
        names = [[table.bond_class(order) for order in kinds] for table in (_NO_ORDERS, _ORDERS)]
        owner = self.owner[self.bonded[:, 0]] if len(orders) else np.zeros(0, dtype=np.int64)
        table_of_names = np.array([[BOND_CLASSES.index(name) for name in row] for row in names]).reshape(2, -1)
        classes = table_of_names[known[owner].astype(np.int64), kind] + 1.0  # 0 stays for no bond
        of_pair = bond_orders(self.bonded, classes, len(self.owner), i, j).astype(np.int64)
        return pl.Series(["none", *BOND_CLASSES], dtype=pl.String).gather(of_pair)

    def relations(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """Index into `RELATIONS` of each pair."""
        return bond_relations(self.bonded, self.molecule, i, j)

    @cached_property
    def _periodic(self) -> list[int]:
        return [k for k, atoms in enumerate(self.structures) if atoms.pbc.any()]


# `BondTable` names the classes of orders; which bonds a table has does not matter for that.
_NO_ORDERS, _ORDERS = (
    BondTable(np.zeros((0, 2), dtype=np.int64), np.zeros(0), has_orders, 0) for has_orders in (False, True)
)


def batch_rows(structures: Sequence[ase.Atoms], frames: Int[np.ndarray, " G"] | None = None) -> BatchRows:
    """Perceive the bonds of many structures; frames are numbered from 0 where None."""
    numbers = np.arange(len(structures)) if frames is None else frames
    return BatchRows(structures, numbers, [perceive_bonds(atoms) for atoms in structures])


def batch_tables(rows: BatchRows, batch: BatchExplanation) -> dict[str, pl.DataFrame]:
    """Tables ``frames``, ``atoms`` and, by the batch's order, ``pairs`` and ``triples``.

    The same columns as `frame_tables` writes (`COLUMNS`), rows in the order of the frames.

    Parameters
    ----------
    rows
        The structures, from `batch_rows`.
    batch
        Their explanation, from `atomlens.interactions.explain_batch`.
    """
    tables = {
        "frames": _frame_rows(rows, batch),
        "atoms": atom_rows(rows, batch.terms[0], batch.shares, batch.unit),
    }
    if batch.max_order >= 2:
        tables["pairs"] = pair_rows(rows, batch.terms[1], batch.unit)
    if batch.max_order >= 3:
        tables["triples"] = triple_rows(rows, batch.terms[2], batch.unit)
    return tables


def batch_walks(
    rows: BatchRows,
    model: AnyModel,
    unit: str,
    *,
    count: int,
    rule: str = "gate",
    product_rule: str = DEFAULT_PRODUCT_RULE,
) -> pl.DataFrame:
    """Table of the `count` strongest walks of every structure; these are listed one structure after the other."""
    atoms, relevance = [], []
    for structure, first in zip(rows.structures, rows.starts[:-1], strict=True):
        walks = explain(model, structure, rule, product_rule).top_walks(count)
        atoms.append(walks.atoms.astype(np.int64) + first)
        relevance.append(walks.relevance)
    return walk_rows(rows, Walks(np.concatenate(atoms), np.concatenate(relevance)), unit)


def _frame_rows(rows: BatchRows, batch: BatchExplanation) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "frame": pl.Series(rows.frames.astype(np.int32)),
            "name": pl.Series([frame_name(atoms) for atoms in rows.structures], dtype=pl.String),
            "n_atoms": rows.sizes.astype(np.int32),
            "formula": pl.Series([atoms.get_chemical_formula() for atoms in rows.structures], dtype=pl.String),
            f"prediction_{batch.unit}": batch.predictions,
            f"constant_{batch.unit}": batch.constants,
            f"residual_{batch.unit}": batch.residuals,
            f"remainder_{batch.unit}": batch.remainders,
        }
    )
