r"""Terms, walks and shares of a frame as tables.

Every table has one row per term and names the unit of its relevance in the column, for example ``relevance_eV``.
Atoms are counted from 0. Distances are in Å, to the nearest periodic image. ``COLUMNS`` says what each column means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.tables.frame import ExplainedFrame
from atomlens.tables.rows import atom_rows, constant, no_group, pair_rows, triple_rows, walk_rows
from atomlens.tables.surroundings import Surroundings

# Meaning of every column; a name that ends in _k stands for one column per atom of the term (atom_1, atom_2, ...).
COLUMNS: dict[str, str] = {
    "frame": "number of the structure among those asked for, counted from 0",
    "name": "what the file calls the structure, else its formula",
    "n_atoms": "number of atoms",
    "formula": "chemical formula, in Hill order",
    "prediction_UNIT": "what the model predicts",
    "constant_UNIT": "part of the prediction that no walk carries",
    "residual_UNIT": "prediction - constant - everything that walks carry: rounding",
    "remainder_UNIT": "what all terms of higher orders than those listed add up to",
    "reason": "why the structure could not be explained",
    "atom": "atom index, counted from 0",
    "atom_k": "index of the k-th atom of the term; of a walk, of the atom it is at after step k",
    "element": "chemical symbol",
    "element_k": "chemical symbol of the k-th atom",
    "elements": "chemical symbols along the walk, from the embedding to the readout",
    "x": "position in Å",
    "y": "position in Å",
    "z": "position in Å",
    "distance": "distance between the two atoms in Å, nearest image",
    "distance_ij": "distance between the i-th and the j-th atom of the term in Å, nearest image",
    "range": "largest distance between two atoms of the term in Å; 0 for one atom",
    "bond": "bond class of the pair: single, aromatic, double, triple, unknown (bonded, order not known), none",
    "bonds": "number of covalent bonds between the atoms of the term",
    "relation": "bonds between the two atoms: 1-2, 1-3, 1-4, further, other molecule",
    "span": "relation of the two atoms of the term that are furthest apart in bonds",
    "group": "name of the group of the atom, null without groups",
    "group_k": "name of the group of the k-th atom, null without groups",
    "members": "number of atoms of the group (of the two groups)",
    "order": "number of different atoms (or groups) in the term",
    "rank": "place of the walk by absolute relevance, counted from 1",
    "relevance_UNIT": "the term: how much it adds to the prediction, walks that biases start included; all terms and "
    "the constant sum to the prediction. Of a walk: its own relevance; only walks from the embedding are listed",
    "readout_UNIT": "relevance of all walks that end at the atom (what it reads out)",
    "start_UNIT": "relevance of all walks that start at the atom",
    "passage_UNIT": "relevance of all walks, each divided evenly over its steps, that falls on the atom",
}


@dataclass(frozen=True)
class FrameRows:
    """The atoms of one frame."""

    index: int
    around: Surroundings

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of every atom."""
        return self.around.symbols

    @property
    def positions(self) -> Float[np.ndarray, "N 3"]:
        """Positions in Å."""
        return self.around.atoms.positions

    def frame(self, atoms: Int[np.ndarray, " M"]) -> pl.Series:
        """The frame's number."""
        return constant(self.index, len(atoms))

    def number(self, atoms: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """The index itself."""
        return atoms

    def group(self, atoms: Int[np.ndarray, " M"]) -> pl.Series:
        """Name of the group of each atom, null without groups."""
        if self.around.groups is None:
            return no_group(len(atoms))
        group = self.around.groups.of_atoms(len(self.around.atoms))[atoms]
        return pl.Series(list(self.around.groups.names), dtype=pl.String).gather(group)

    def distances(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Shortest distances in Å."""
        return self.around.distances(i, j)

    def bond_classes(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> pl.Series:
        """Bond class of each pair."""
        return pl.Series(self.around.bond_classes(i, j), dtype=pl.String)

    def relations(self, i: Int[np.ndarray, " M"], j: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
        """Index into `RELATIONS` of each pair."""
        return self.around.relations(i, j)


def atoms_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row per atom: element, position, its one-body term, and its three shares of the prediction."""
    return atom_rows(_rows(frame), frame.interactions.order(1), frame.shares, frame.unit)


def pairs_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row per pair term."""
    return pair_rows(_rows(frame), frame.interactions.order(2), frame.unit)


def triples_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row per triple term."""
    return triple_rows(_rows(frame), frame.interactions.order(3), frame.unit)


def walks_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row per walk, strongest first; ``atom_0`` is where it starts (embedding), the last atom its read-out."""
    return walk_rows(_rows(frame), frame.walks, frame.unit)


def _rows(frame: ExplainedFrame) -> FrameRows:
    return FrameRows(frame.index, frame.surroundings)


def groups_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row per term of one group or of a pair of groups.

    Raises
    ------
    ValueError
        If the frame was explained without groups.
    """
    if frame.groups is None or frame.group_terms is None:
        raise ValueError("the frame has no groups; give groups to explained_frame")
    names = np.array(frame.groups.names, dtype=object)
    sizes = np.array([len(members) for members in frame.groups.members])
    parts = []
    for order in range(1, frame.group_terms.max_order + 1):
        terms = frame.group_terms.order(order)
        n_terms = len(terms.relevance)
        other = names[terms.atoms[:, 1]].tolist() if order == 2 else [None] * n_terms
        parts.append(
            pl.DataFrame(
                {
                    "frame": constant(frame.index, n_terms),
                    "order": constant(order, n_terms),
                    "group_1": pl.Series(names[terms.atoms[:, 0]].tolist(), dtype=pl.String),
                    "group_2": pl.Series(other, dtype=pl.String),
                    "members": sizes[terms.atoms].sum(axis=1).astype(np.int32),
                    f"relevance_{frame.unit}": terms.relevance,
                }
            )
        )
    return pl.concat(parts)


def frame_tables(frame: ExplainedFrame) -> dict[str, pl.DataFrame]:
    """All tables of a frame by name: atoms, walks, and pairs, triples, groups where they were asked for."""
    tables = {"atoms": atoms_table(frame), "walks": walks_table(frame)}
    if frame.interactions.max_order >= 2:
        tables["pairs"] = pairs_table(frame)
    if frame.interactions.max_order >= 3:
        tables["triples"] = triples_table(frame)
    if frame.groups is not None:
        tables["groups"] = groups_table(frame)
    return tables
