"""Progress on the terminal, the same for every command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn

from atomlens.cli.output import output
from atomlens.cli.terminal import console as clean_console

# Seconds between two lines where standard error is a file or a pipe.
LINE_EVERY = 10.0


class LineProgress(Progress):
    """Progress in plain lines, one every `every` seconds: for log files and pipes."""

    def __init__(self, console: Any, every: float = LINE_EVERY) -> None:
        super().__init__(console=console, disable=True)
        self._every = every
        self._last = time.monotonic()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Move on, and print a line if the last one was long ago."""
        super().advance(task_id, advance)
        self._print(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task, and print a line if the last one was long ago."""
        super().update(task_id, **changes)
        if "completed" in changes or "advance" in changes:
            self._print(task_id)

    def _print(self, task_id: TaskID) -> None:
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        task = next(task for task in self.tasks if task.id == task_id)
        share = f"{task.percentage:.0f} %" if task.total else f"{task.completed:g} done"
        elapsed = f"{task.elapsed:.0f} s" if task.elapsed is not None else ""
        self.console.print(f"{task.description}: {share}, {elapsed}".rstrip(", "), markup=False, highlight=False)


@contextmanager
def progress_bars(*amount: ProgressColumn) -> Iterator[Progress]:
    """Bars on stderr that disappear at the end; plain lines where stderr is no terminal; nothing under ``--quiet``.

    Parameters
    ----------
    amount
        Columns with the amount done, between the bar and the time that remains.
    """
    console = clean_console(stderr=True, markup=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn())
    if output.quiet or console.is_terminal:
        bars: Progress = Progress(*columns, console=console, transient=True, disable=output.quiet)
    else:
        bars = LineProgress(console)
    with bars:
        yield bars
