"""What reaches the terminal: lines of bounded length without control characters, whatever names and files contain.

Every command prints through `echo` or a `console`; a test finds those that do not.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Letters of one line; more than any line of ours has.
LONGEST_LINE = 2000


def clean(text: object) -> str:
    r"""Text with every control character spelled out and every line cut; line breaks stay.

    Examples
    --------
    >>> clean("a\x1b[31mred\n\u202ename")
    'a\\x1b[31mred\n\\u202ename'
    """
    return "\n".join(_line(line) for line in str(text).split("\n"))


def one_line(text: object) -> str:
    """Text as one clean line."""
    return _line(" ".join(str(text)[: 10 * LONGEST_LINE].split()))


def echo(text: object, *, err: bool = False) -> None:
    """Print text, to stderr if `err`."""
    print(clean(text), file=sys.stderr if err else sys.stdout)


def console(**options: Any) -> Console:
    """A console of Rich whose text is clean; its own colours and boxes are not text."""
    from rich.console import Console
    from rich.segment import Segment

    class CleanConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            """Clean whatever is drawn, before styles become control characters."""
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(clean(segment.text), segment.style)

    return CleanConsole(**{"markup": False, "highlight": False, **options})


@contextmanager
def clean_warnings() -> Iterator[None]:
    """Have Python's warnings printed as one clean line each."""

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        echo(f"atomlens: warning: {one_line(message)}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _line(line: str) -> str:
    cut = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}... ({len(line)} letters)"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)
