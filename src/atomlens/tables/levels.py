r"""Terms, walks and shares of a frame as tables.

Every table has one row a term and names the unit of its relevance in the column, for example ``relevance_eV``.
Atoms are counted from 0. Distances are in Å, to the nearest periodic image. ``COLUMNS`` says what each column means.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.tables.frame import ExplainedFrame
from atomlens.tables.surroundings import RELATIONS, Surroundings

# Meaning of every column; a name that ends in _k stands for one column a atom of the term (atom_1, atom_2, ...).
COLUMNS: dict[str, str] = {
    "frame": "number of the structure among the explained ones, counted from 0",
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


def atoms_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row an atom: element, position, its one-body term, and its three shares of the prediction."""
    n = len(frame.atoms)
    one_body = np.zeros(n)
    singles = frame.interactions.order(1)
    one_body[singles.atoms[:, 0]] = singles.relevance
    x, y, z = frame.atoms.positions.T
    index = np.arange(n)
    return pl.DataFrame(
        {
            "frame": _constant(frame.index, n),
            "atom": index.astype(np.int32),
            "element": _elements(frame.surroundings, index),
            "x": x,
            "y": y,
            "z": z,
            "group": _group_names(frame.surroundings, index),
            f"relevance_{frame.unit}": one_body,
            f"readout_{frame.unit}": frame.shares.readout,
            f"start_{frame.unit}": frame.shares.start,
            f"passage_{frame.unit}": frame.shares.passage,
        }
    )


def pairs_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row a pair term."""
    terms = frame.interactions.order(2)
    around = frame.surroundings
    i, j = terms.atoms.T
    distance = around.distances(i, j)
    return pl.DataFrame(
        {
            "frame": _constant(frame.index, len(i)),
            **_atom_columns(around, terms.atoms),
            "distance": distance,
            "range": distance,
            "bond": pl.Series(around.bond_classes(i, j), dtype=pl.String),
            "relation": _relation_names(around.relations(i, j)),
            f"relevance_{frame.unit}": terms.relevance,
        }
    )


def triples_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row a triple term."""
    terms = frame.interactions.order(3)
    around = frame.surroundings
    sides = list(combinations(range(3), 2))
    distances = {(a, b): around.distances(terms.atoms[:, a], terms.atoms[:, b]) for a, b in sides}
    relations = np.stack([around.relations(terms.atoms[:, a], terms.atoms[:, b]) for a, b in sides])
    return pl.DataFrame(
        {
            "frame": _constant(frame.index, len(terms.relevance)),
            **_atom_columns(around, terms.atoms),
            **{f"distance_{a + 1}{b + 1}": distances[a, b] for a, b in sides},
            "range": np.max(list(distances.values()), axis=0),
            "bonds": (relations == 0).sum(axis=0).astype(np.int32),
            "span": _relation_names(relations.max(axis=0)),
            f"relevance_{frame.unit}": terms.relevance,
        }
    )


def walks_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row a walk, strongest first; ``atom_0`` is where it starts (embedding), the last one where it is read out."""
    atoms, relevance = frame.walks.atoms, frame.walks.relevance
    n_walks, n_steps = atoms.shape
    symbols = np.array(frame.surroundings.symbols, dtype=object)
    return pl.DataFrame(
        {
            "frame": _constant(frame.index, n_walks),
            "rank": np.arange(1, n_walks + 1, dtype=np.int32),
            **{f"atom_{step}": atoms[:, step].astype(np.int32) for step in range(n_steps)},
            "elements": pl.Series(["-".join(walk) for walk in symbols[atoms]], dtype=pl.String),
            "order": np.array([len(set(walk)) for walk in atoms.tolist()], dtype=np.int32),
            "range": walk_ranges(frame.surroundings, atoms),
            f"relevance_{frame.unit}": relevance,
        }
    )


def groups_table(frame: ExplainedFrame) -> pl.DataFrame:
    """One row a term of one group or of a pair of groups.

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
                    "frame": _constant(frame.index, n_terms),
                    "order": _constant(order, n_terms),
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


def walk_ranges(around: Surroundings, atoms: Int[np.ndarray, "W T"]) -> Float[np.ndarray, " W"]:
    """Largest distance in Å between two atoms of every walk."""
    result = np.zeros(len(atoms))
    for a, b in combinations(range(atoms.shape[1]), 2):
        result = np.maximum(result, around.distances(atoms[:, a], atoms[:, b]))
    return result


def _constant(value: int, n: int) -> pl.Series:
    # pl.repeat would go through the query engine, which costs milliseconds a column.
    return pl.Series([value], dtype=pl.Int32).new_from_index(0, n)


def _atom_columns(around: Surroundings, atoms: Int[np.ndarray, "M n"]) -> dict[str, pl.Series | np.ndarray]:
    columns = atoms.T
    numbered = list(enumerate(columns, start=1))
    return {
        **{f"atom_{k}": index.astype(np.int32) for k, index in numbered},
        **{f"element_{k}": _elements(around, index) for k, index in numbered},
        **{f"group_{k}": _group_names(around, index) for k, index in numbered},
    }


def _elements(around: Surroundings, index: Int[np.ndarray, " M"]) -> pl.Series:
    return pl.Series(around.symbols, dtype=pl.String).gather(index)


def _group_names(around: Surroundings, index: Int[np.ndarray, " M"]) -> pl.Series:
    if around.groups is None:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(index))
    group = around.groups.of_atoms(len(around.atoms))[index]
    return pl.Series(list(around.groups.names), dtype=pl.String).gather(group)


def _relation_names(relation: Int[np.ndarray, " M"]) -> pl.Series:
    return pl.Series(list(RELATIONS), dtype=pl.String).gather(relation)
