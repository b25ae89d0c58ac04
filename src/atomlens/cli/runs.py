"""What commands share that write a run into a folder: its command, and resuming after an interruption."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atomlens.cli.terminal import echo
from atomlens.folders import resumes


def command_line() -> str:
    """The command as it was typed, for the run to remember."""
    return shlex.join(["atomlens", *sys.argv[1:]])


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Leave with exit code 130 where a run is interrupted, and report that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        echo(f"atomlens: interrupted; {resumes('--overwrite' in sys.argv)} where it stopped ({out})", err=True)
        sys.exit(130)
