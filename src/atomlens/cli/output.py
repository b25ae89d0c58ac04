"""What a command prints: its summary for people, the same for programs (``--json``), or nothing (``--quiet``)."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atomlens.cli.terminal import echo

QUIET, JSON = "--quiet", "--json"


@dataclass
class Output:
    """The reader's choice, and the folder that the command wrote.

    Attributes
    ----------
    quiet
        Print neither results nor progress; errors are still printed.
    json
        Print the ``summary.json`` of the run in place of the summary for people.
    folder
        The finished folder, once there is one.
    """

    quiet: bool = False
    json: bool = False
    folder: Path | None = None

    def read(self, args: list[str]) -> list[str]:
        """Take the choice from the arguments; return the others."""
        ours = args[: args.index("--")] if "--" in args else args
        helping = not {"--help", "-h"}.isdisjoint(ours)
        self.quiet, self.json = QUIET in ours and not helping, JSON in ours and not helping
        self.folder = None
        return [arg for k, arg in enumerate(args) if arg not in (QUIET, JSON) or k >= len(ours)]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Keep what is printed for people from standard output where it is not wanted."""
        if not (self.quiet or self.json):
            yield
            return
        with contextlib.redirect_stdout(io.StringIO()):
            yield

    def print_summary(self) -> None:
        """Print the summary of the run as JSON, if that was asked for.

        Raises
        ------
        InputError
            If the command wrote no run.
        """
        if not self.json:
            return
        from atomlens.folders import MARK
        from atomlens.structures import InputError

        if self.folder is None:
            raise InputError(f"{JSON} is for commands that write a run with a summary; this one wrote none")
        # Escapes keep control characters of names off the terminal; long lines must not be cut here.
        summary = json.loads((self.folder / MARK).read_text(encoding="utf-8"))
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")


output = Output()


def finished(page: Path, what: str = "report") -> None:
    """Name the page of a finished run."""
    output.folder = page.parent
    echo(f"{what}: {page}")
