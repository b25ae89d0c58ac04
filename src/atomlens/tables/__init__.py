"""Explained structures as tidy tables: one row an atom, a pair, a triple, a walk, a term of groups."""

from atomlens.tables.batch import BatchRows, batch_rows, batch_tables, batch_walks
from atomlens.tables.frame import ExplainedFrame, explained_frame
from atomlens.tables.groups import AtomGroups, fragment_groups, named_groups, read_groups, residue_groups
from atomlens.tables.levels import (
    COLUMNS,
    atoms_table,
    frame_tables,
    groups_table,
    pairs_table,
    triples_table,
    walks_table,
)
from atomlens.tables.shards import SurveyResult, survey_structures
from atomlens.tables.sources import StructureSource, XyzFrames
from atomlens.tables.stream import TableStream
from atomlens.tables.surroundings import RELATIONS, Surroundings, survey

__all__ = [
    "COLUMNS",
    "RELATIONS",
    "AtomGroups",
    "BatchRows",
    "ExplainedFrame",
    "StructureSource",
    "Surroundings",
    "SurveyResult",
    "TableStream",
    "XyzFrames",
    "atoms_table",
    "batch_rows",
    "batch_tables",
    "batch_walks",
    "explained_frame",
    "fragment_groups",
    "frame_tables",
    "groups_table",
    "named_groups",
    "pairs_table",
    "read_groups",
    "residue_groups",
    "survey",
    "survey_structures",
    "triples_table",
    "walks_table",
]
