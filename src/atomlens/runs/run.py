"""One run from explained frames to a finished folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomlens.folders import MARK, PAGE, RunFolder
from atomlens.report import Page, frames_on_page
from atomlens.surveys import TableStream, as_format
from atomlens.tables import ExplainedFrame, RunInfo, frame_summary, frame_tables, run_summary


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves in memory.

    Attributes
    ----------
    folder
        The finished folder.
    first
        The first frame, complete.
    summary
        Content of ``summary.json``.
    """

    folder: Path
    first: ExplainedFrame
    summary: dict[str, Any]

    @property
    def page(self) -> Path:
        """The report page."""
        return self.folder / PAGE


def write_run(
    folder: RunFolder,
    frames: Iterable[ExplainedFrame],
    n_frames: int,
    info: RunInfo,
    started: float | None = None,
    *,
    table_format: str = "parquet",
) -> RunResult:
    """Write tables, page and summary of all frames; frames are taken one by one and not kept.

    Parameters
    ----------
    folder
        An entered `RunFolder`.
    frames
        Explained frames in order.
    n_frames
        How many there will be.
    info
        What was asked for.
    started
        ``time.perf_counter()`` when the run began; now if None.
    table_format
        ``parquet``, ``csv`` or ``both``.

    Raises
    ------
    ValueError
        If there is no frame.
    """
    started = time.perf_counter() if started is None else started
    page, shown = Page(info, n_frames), set(frames_on_page(n_frames))
    summaries: list[dict[str, Any]] = []
    first: ExplainedFrame | None = None
    with TableStream(folder.path) as stream:
        for frame in frames:
            first = first or frame
            stream.append(frame_tables(frame))
            if frame.index in shown:
                page.add(frame)
            summaries.append(frame_summary(frame))
        tables = stream.names
    if first is None:
        raise ValueError("a run needs at least one frame")
    files = [name for table in tables for name in as_format(folder.path / f"{table}.parquet", table_format)]
    (folder.path / PAGE).write_text(page.html(files), encoding="utf-8")
    summary = run_summary(info, summaries, first, time.perf_counter() - started)
    text = json.dumps(summary, indent=1, ensure_ascii=False, default=str)
    (folder.path / MARK).write_text(text + "\n", encoding="utf-8")
    return RunResult(folder.out, first, summary)
