"""From which of many explained structures questions are answered: a bounded number, spread evenly over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
import polars as pl
import pyarrow.parquet as pq

from atomlens.folders import reading, whole
from atomlens.surveys.shards import LEVELS
from atomlens.surveys.sources import StructureSource

# Structures that questions are answered from, by default. Intervals over so many molecules are narrow, and
# pairs and triples of so many fit in memory.
SAMPLE_SIZE = 2000
_AGAIN = "delete its folder, then the same command makes it again"


@dataclass(frozen=True)
class Sample:
    """Structures that are judged, and their rows of the tables.

    Attributes
    ----------
    frames
        Number of each one in the survey's tables, column ``frame`` of `table`.
    structures
        The structures.
    tables
        Rows of the survey's tables with a ``frame`` column that counts `structures` from 0.
    n_explained
        How many structures were explained.
    """

    frames: list[int]
    structures: list[ase.Atoms]
    tables: dict[str, pl.DataFrame]
    n_explained: int

    @property
    def table(self) -> pl.DataFrame:
        """``sample``, the number in stored results, and ``frame``, that in the tables of all structures."""
        return pl.DataFrame({"sample": range(len(self.frames)), "frame": self.frames}, schema_overrides=_NUMBERS)


_NUMBERS = {"sample": pl.Int32, "frame": pl.Int32}


def read_sample(source: StructureSource, folder: Path, count: int = SAMPLE_SIZE) -> Sample:
    """Read at most `count` explained structures and their rows; only one row group more is ever in memory.

    Parameters
    ----------
    source
        All structures.
    folder
        Where `survey_structures` wrote their tables.
    count
        How many to take; all where there are no more.
    """
    with reading(folder / "frames.parquet", _AGAIN):
        table = pl.read_parquet(folder / "frames.parquet", columns=["frame"])
        explained = [whole(frame, 0, len(source) - 1) for frame in table["frame"].to_list()]
    frames = [explained[place] for place in evenly_spread(len(explained), count)]
    structures = [source[frame] for frame in frames]
    if frames == list(range(len(explained))):
        return Sample(frames, structures, read_tables(folder), len(explained))
    tables = {}
    for name, path in _paths(folder).items():
        with reading(path, _AGAIN):
            tables[name] = _rows(path, frames)
    return Sample(frames, structures, tables, len(explained))


def read_tables(folder: Path) -> dict[str, pl.DataFrame]:
    """The whole tables of a survey, those of skipped structures and of walks apart."""
    tables = {}
    for name, path in _paths(folder).items():
        with reading(path, _AGAIN):
            tables[name] = pl.read_parquet(path)
    return tables


def _paths(folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.parquet" for name in LEVELS if name != "walks"}
    return {name: path for name, path in paths.items() if path.is_file()}


def evenly_spread(n: int, count: int) -> list[int]:
    """All numbers below `n`, or `count` evenly spaced ones, ends included.

    Examples
    --------
    >>> evenly_spread(3, 5)
    [0, 1, 2]
    >>> evenly_spread(9, 3)
    [0, 4, 8]
    """
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int)).tolist()


def renumbered(tables: Mapping[str, pl.DataFrame], frames: Sequence[int]) -> dict[str, pl.DataFrame]:
    """Tables of some structures of a list, their ``frame`` set from the place among the chosen to that in the list."""
    numbers = pl.Series(frames, dtype=pl.Int32)
    return {name: table.with_columns(numbers.gather(table["frame"]).alias("frame")) for name, table in tables.items()}


def _rows(path: Path, frames: list[int]) -> pl.DataFrame:
    """Rows of some frames, which are renumbered in the order of the list."""
    numbers = pl.DataFrame({"frame": frames, "sample": range(len(frames))}, schema_overrides=_NUMBERS)
    parts: list[pl.DataFrame] = []
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = pl.DataFrame(pl.from_arrow(file.read_row_group(group)))
            kept = rows.join(numbers, on="frame", how="inner", maintain_order="left")
            parts.append(kept.with_columns(pl.col("sample").alias("frame")).select(rows.columns))
    return pl.concat(parts)
