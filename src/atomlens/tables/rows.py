"""Rows of the tables of terms: one way to write them, for one structure and for many."""

from __future__ import annotations

from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.interactions import Terms
from atomlens.relevance import AtomShares, Walks
from atomlens.tables.surroundings import RELATIONS


@runtime_checkable
class Rows(Protocol):
    """Atoms that terms speak of, those of one structure or those of many, and what a table states about them."""

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of every atom."""
        ...

    @property
    def positions(self) -> Float[np.ndarray, "N 3"]:
        """Positions in Å."""
        ...

    def frame(self, atoms: Int[np.ndarray, " M"]) -> pl.Series:
        """Number of the structure that each atom belongs to."""
        ...

    def number(self, atoms: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """Index of each atom within its structure."""
        ...

    def group(self, atoms: Int[np.ndarray, " M"]) -> pl.Series:
        """Name of the group of each atom."""
        ...

    def distances(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Distances in Å."""
        ...

    def bond_classes(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> pl.Series:
        """Bond class of each pair."""
        ...

    def relations(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """Index into `RELATIONS` of each pair."""
        ...


def atom_rows(rows: Rows, one_body: Terms, shares: AtomShares, unit: str) -> pl.DataFrame:
    """One row per atom: element, position, its one-body term, and its three shares of the prediction."""
    n = len(shares.readout)
    relevance = np.zeros(n)
    relevance[one_body.atoms[:, 0]] = one_body.relevance
    x, y, z = rows.positions.T
    index = np.arange(n)
    return pl.DataFrame(
        {
            "frame": rows.frame(index),
            "atom": rows.number(index).astype(np.int32),
            "element": _elements(rows, index),
            "x": x,
            "y": y,
            "z": z,
            "group": rows.group(index),
            f"relevance_{unit}": relevance,
            f"readout_{unit}": shares.readout,
            f"start_{unit}": shares.start,
            f"passage_{unit}": shares.passage,
        }
    )


def pair_rows(rows: Rows, terms: Terms, unit: str) -> pl.DataFrame:
    """One row per pair term."""
    i, j = terms.atoms.T
    distance = rows.distances(i, j)
    return pl.DataFrame(
        {
            "frame": rows.frame(i),
            **_atom_columns(rows, terms.atoms),
            "distance": distance,
            "range": distance,
            "bond": rows.bond_classes(i, j),
            "relation": _relation_names(rows.relations(i, j)),
            f"relevance_{unit}": terms.relevance,
        }
    )


def triple_rows(rows: Rows, terms: Terms, unit: str) -> pl.DataFrame:
    """One row per triple term."""
    sides = list(combinations(range(3), 2))
    distances = {(a, b): rows.distances(terms.atoms[:, a], terms.atoms[:, b]) for a, b in sides}
    relations = np.stack([rows.relations(terms.atoms[:, a], terms.atoms[:, b]) for a, b in sides])
    return pl.DataFrame(
        {
            "frame": rows.frame(terms.atoms[:, 0]),
            **_atom_columns(rows, terms.atoms),
            **{f"distance_{a + 1}{b + 1}": distances[a, b] for a, b in sides},
            "range": np.max(list(distances.values()), axis=0),
            "bonds": (relations == 0).sum(axis=0).astype(np.int32),
            "span": _relation_names(relations.max(axis=0)),
            f"relevance_{unit}": terms.relevance,
        }
    )


def walk_rows(rows: Rows, walks: Walks, unit: str) -> pl.DataFrame:
    """One row per walk, as listed, strongest first in each frame.

    ``atom_0`` is where it starts (embedding), the last one where it is read out.
    """
    atoms = walks.atoms
    n_walks, n_steps = atoms.shape
    symbols = np.array(rows.symbols, dtype=object)
    frame = rows.frame(atoms[:, 0])
    first = np.searchsorted(frame.to_numpy(), frame.to_numpy())  # of its frame
    return pl.DataFrame(
        {
            "frame": frame,
            "rank": (np.arange(n_walks) - first + 1).astype(np.int32),
            **{f"atom_{step}": rows.number(atoms[:, step]).astype(np.int32) for step in range(n_steps)},
            "elements": pl.Series(["-".join(walk) for walk in symbols[atoms]], dtype=pl.String),
            "order": np.array([len(set(walk)) for walk in atoms.tolist()], dtype=np.int32),
            "range": walk_ranges(rows, atoms),
            f"relevance_{unit}": walks.relevance,
        }
    )


def walk_ranges(rows: Rows, atoms: Int[np.ndarray, "W T"]) -> Float[np.ndarray, " W"]:
    """Largest distance in Å between two atoms of every walk."""
    result = np.zeros(len(atoms))
    for a, b in combinations(range(atoms.shape[1]), 2):
        result = np.maximum(result, rows.distances(atoms[:, a], atoms[:, b]))
    return result


def constant(value: int, n: int) -> pl.Series:
    """A column of one value."""
    # pl.repeat would go through the query engine, which costs milliseconds a column.
    return pl.Series([value], dtype=pl.Int32).new_from_index(0, n)


def no_group(n: int) -> pl.Series:
    """A column of no group's name."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, n)


def _atom_columns(rows: Rows, atoms: Int[np.ndarray, "M n"]) -> dict[str, pl.Series | np.ndarray]:
    numbered = list(enumerate(atoms.T, start=1))
    return {
        **{f"atom_{k}": rows.number(index).astype(np.int32) for k, index in numbered},
        **{f"element_{k}": _elements(rows, index) for k, index in numbered},
        **{f"group_{k}": rows.group(index) for k, index in numbered},
    }


def _elements(rows: Rows, index: Int[np.ndarray, " M"]) -> pl.Series:
    return pl.Series(rows.symbols, dtype=pl.String).gather(index)


def _relation_names(relation: Int[np.ndarray, " M"]) -> pl.Series:
    return pl.Series(list(RELATIONS), dtype=pl.String).gather(relation)
