"""Whose an unfinished run is: a note in its folder says from the first moment on what was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atomlens.folders.files import write_text
from atomlens.folders.stored import read_json


def noted(path: Path) -> dict[str, Any]:
    """What the note of the run in a folder says; nothing where there is none that can be read."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def claim(path: Path, asked: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
    """The note of the run in a folder, begun now where there is none, and whether it is the run that is asked for.

    Parameters
    ----------
    path
        The note, a JSON file; its folder is made where there is none.
    asked
        What decides which run it is.
    more
        What a new note says besides, for those who read it.

    Returns
    -------
    The note, and the first entry of `asked` in which it differs; an empty name where the run may go on.

    Raises
    ------
    ValueError
        If there is a file that is no note.
    OSError
        If the note can be neither read nor written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for seed in (0, 0, 1):
    ...         claim(Path(folder) / "run.json", {"seed": seed})
    ({'seed': 0}, '')
    ({'seed': 0}, '')
    ({'seed': 0}, 'seed')
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        note = read_json(path)
    except FileNotFoundError:
        note = {**asked, **(more or {})}
        write_text(path, json.dumps(note, indent=1) + "\n")
        return note, ""
    return note, next((name for name, value in asked.items() if note.get(name) != value), "")
