from .comparison import (
    PAIR_KINDS,
    ComparedRun,
    Comparison,
    compare_runs,
    correlation,
    kind_strengths,
    order_shares,
    run_names,
)
from .progress import Progress, no_progress
from .sample import SAMPLE_SIZE, Sample, evenly_spread, read_sample, read_tables, renumbered
from .shards import SURVEY_FILES, SurveyResult, survey_structures
from .sources import StructureSource, XyzFrames, is_xyz, open_frames
from .stream import TableStream, as_format, write_table
from .workers import dask_client

__all__ = [
    "PAIR_KINDS",
    "SAMPLE_SIZE",
    "SURVEY_FILES",
    "ComparedRun",
    "Comparison",
    "Progress",
    "Sample",
    "StructureSource",
    "SurveyResult",
    "TableStream",
    "XyzFrames",
    "as_format",
    "compare_runs",
    "correlation",
    "dask_client",
    "evenly_spread",
    "is_xyz",
    "kind_strengths",
    "no_progress",
    "open_frames",
    "order_shares",
    "read_sample",
    "read_tables",
    "renumbered",
    "run_names",
    "survey_structures",
    "write_table",
]
