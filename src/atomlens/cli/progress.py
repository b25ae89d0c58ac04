"""Progress on the terminal, the same for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from atomlens.cli.terminal import console as clean_console


@contextmanager
def progress_bars(*amount: ProgressColumn) -> Iterator[Progress]:
    """Bars on stderr that go when all is done; silent where stderr is no terminal.

    Parameters
    ----------
    amount
        How much is done, between the bar and the time that remains.
    """
    console = clean_console(stderr=True, markup=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield bars
