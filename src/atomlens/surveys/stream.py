"""Tables of many frames in Parquet files, of which only a part is ever in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from atomlens.folders import atomic_file

# Rows of a table that are joined at once, and the length of its row groups.
_ROWS = 200_000
# Parts of a table that are read, on other threads, before it is their turn to be joined.
_PARTS_AHEAD = 4


class TableStream:
    """Append data frames to one Parquet file a table; only one frame is ever in memory.

    Parameters
    ----------
    folder
        Where the files go, named ``<table>.parquet``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> Self:
        """Return the stream; files are opened by the first rows."""
        return self

    def append(self, tables: dict[str, pl.DataFrame]) -> None:
        """Add the rows of every table to its file."""
        for name, table in tables.items():
            rows = table.to_arrow(compat_level=pl.CompatLevel.oldest())
            if name not in self._writers:
                path = self.folder / f"{name}.parquet"
                self._writers[name] = pq.ParquetWriter(path, rows.schema, **_encoding(rows.schema))
            self._writers[name].write_table(rows)

    @property
    def names(self) -> list[str]:
        """Tables written so far."""
        return sorted(self._writers)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all files; a failure to close is silenced where another failure is on its way out."""
        failure: OSError | None = None
        for writer in self._writers.values():
            try:
                writer.close()
            except OSError as problem:
                failure = problem
        if failure is not None and error is None:
            raise failure


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Words as a dictionary; numbers are nearly all different, and looking for repeats takes a third of the time."""
    words = [field.name for field in schema if pa.types.is_large_string(field.type) or pa.types.is_string(field.type)]
    return {"compression": "zstd", "use_dictionary": words or False}


def write_table(table: pl.DataFrame, path: Path) -> Path:
    """Write one table to one Parquet file."""
    rows = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(rows, path, **_encoding(rows.schema))
    return path


def as_format(table: Path, wanted: str) -> list[str]:
    """Turn a Parquet file into the wanted format; return the names of the files that there are then.

    Parameters
    ----------
    table
        The Parquet file. Under ``csv`` it is replaced.
    wanted
        ``parquet`` (nothing to do), ``csv`` or ``both``. Only a part of the table is in memory at a time.

    Raises
    ------
    ValueError
        If the format is not known.
    """
    if wanted not in ("parquet", "csv", "both"):
        raise ValueError(f"table format {wanted!r} is not known; choose parquet, csv or both")
    if wanted == "parquet":
        return [table.name]
    text = table.with_suffix(".csv")
    pl.scan_parquet(table).sink_csv(text)
    if wanted == "both":
        return [table.name, text.name]
    table.unlink()
    return [text.name]


def merge_tables(parts: Iterable[Path], target: Path) -> int:
    """Join Parquet files of one table, in order, to one; it appears when it is complete. Return its number of rows.

    Only a few parts and `_ROWS` rows are in memory.
    """
    from pyarrow import dataset  # imports pandas where that is installed

    total, waiting = 0, []
    joined = dataset.dataset([str(part) for part in parts], format="parquet")
    with atomic_file(target) as part, pq.ParquetWriter(part, joined.schema, **_encoding(joined.schema)) as writer:
        ahead = {"batch_readahead": _PARTS_AHEAD, "fragment_readahead": _PARTS_AHEAD}
        for batch in joined.to_batches(batch_size=_ROWS, **ahead):
            waiting.append(batch)
            if sum(rows.num_rows for rows in waiting) >= _ROWS:
                total += _write(writer, waiting)
        if waiting:  # none where the last part filled a row group
            total += _write(writer, waiting)
    return total


def _write(writer: pq.ParquetWriter, waiting: list[pa.RecordBatch]) -> int:
    rows = pa.Table.from_batches(waiting)
    waiting.clear()
    writer.write_table(rows, row_group_size=_ROWS)
    return rows.num_rows
