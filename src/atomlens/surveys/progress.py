"""How work on many structures says how far it is."""

from __future__ import annotations

from collections.abc import Callable

# Called with what is being done (and how fast), how many structures are done, and how many there are.
Progress = Callable[[str, int, int], None]


def no_progress(what: str, done: int, total: int) -> None:
    """Ignore progress."""
