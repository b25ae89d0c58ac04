from .batch import BatchRows, batch_rows, batch_tables, batch_walks
from .cautions import cautions
from .frame import ExplainedFrame, explained_frame
from .groups import AtomGroups, fragment_groups, named_groups, read_groups, residue_groups
from .levels import COLUMNS, atoms_table, frame_tables, groups_table, pairs_table, triples_table, walks_table
from .summary import SCHEMA, RunInfo, frame_summary, model_summary, package_version, package_versions, run_summary
from .surroundings import RELATIONS, Surroundings, survey
from .totals import order_totals, range_totals, relation_totals

__all__ = [
    "COLUMNS",
    "RELATIONS",
    "SCHEMA",
    "AtomGroups",
    "BatchRows",
    "ExplainedFrame",
    "RunInfo",
    "Surroundings",
    "atoms_table",
    "batch_rows",
    "batch_tables",
    "batch_walks",
    "cautions",
    "explained_frame",
    "fragment_groups",
    "frame_summary",
    "frame_tables",
    "groups_table",
    "model_summary",
    "named_groups",
    "order_totals",
    "package_version",
    "package_versions",
    "pairs_table",
    "range_totals",
    "read_groups",
    "relation_totals",
    "residue_groups",
    "run_summary",
    "survey",
    "triples_table",
    "walks_table",
]
