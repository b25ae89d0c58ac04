"""Tables of many frames, written to Parquet one frame at a time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow.parquet as pq


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
                self._writers[name] = pq.ParquetWriter(path, rows.schema, compression="zstd")
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
