"""Whose a folder is: a marker names the files that atomlens writes there, and only those are ever replaced."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path

from atomlens.folders.files import write_text
from atomlens.structures import InputError

MARKER = ".atomlens.json"
_FORMAT = "atomlens-run"
_LARGEST = 2**20
# What a killed writer of NAME leaves beside it; see `atomic_file`.
_UNFINISHED = re.compile(r"\.(.+)\.part-[0-9a-f-]+")


def mark(folder: Path, writes: Iterable[str]) -> None:
    """Make a folder ours: note the files that are written there, as patterns of their paths below it.

    ``*`` and ``?`` stand for parts of one name, as in a shell, and never for a separator.
    """
    note = {"format": _FORMAT, "writes": sorted({MARKER, *writes})}
    write_text(folder / MARKER, json.dumps(note, indent=1) + "\n")


def mark_as_it_is(folder: Path) -> None:
    """Make a finished folder ours with exactly the files that are in it."""
    mark(folder, (escape(str(path)) for path in _entries(folder)))


def written_here(folder: Path) -> list[str] | None:
    """The patterns of the folder's marker; None where it has none, or one that cannot be read."""
    path = folder / MARKER
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        note = json.loads(path.read_text(encoding="utf-8"))
        if note["format"] != _FORMAT or not all(isinstance(pattern, str) for pattern in note["writes"]):
            return None
        return list(note["writes"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def is_ours(folder: Path) -> bool:
    """Whether a folder has a marker that can be read."""
    return written_here(folder) is not None


def check_replaceable(folder: Path, shown: str) -> None:
    """Refuse a folder that holds anything that atomlens did not write.

    Parameters
    ----------
    folder
        The folder.
    shown
        What messages call it.

    Raises
    ------
    InputError
        If it has no marker, or holds a file, link or folder that the marker does not name.
    """
    patterns = written_here(folder)
    if patterns is None:
        raise InputError(f"{shown}: the folder is not empty and was not written by atomlens; name another one")
    if (stranger := _stranger(folder, patterns)) is not None:
        raise InputError(
            f"{shown}: holds {stranger}, which atomlens did not write; move it away, or name another folder"
        )


def remove_ours(folder: Path) -> None:
    """Delete the files in a folder that its marker names, and what folders in it are empty then.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     mark(folder, ["report.html"])
    ...     for file in ("report.html", "notes.txt"):
    ...         _ = (folder / file).write_text("")
    ...     remove_ours(folder)
    ...     sorted(path.name for path in folder.iterdir())
    ['.atomlens.json', 'notes.txt']
    """
    patterns = written_here(folder)
    if patterns is None:
        return
    for path in sorted(_entries(folder), key=lambda path: len(path.parts), reverse=True):
        if _is_folder(folder / path):
            with suppress(OSError):
                (folder / path).rmdir()
        elif path != Path(MARKER) and _named(path, patterns):
            (folder / path).unlink(missing_ok=True)
    # The marker goes last: a kill on the way, or a file of somebody else, leaves a folder that is still ours.
    if list(_entries(folder)) == [Path(MARKER)]:
        (folder / MARKER).unlink(missing_ok=True)


def below(place: str, names: Iterable[str]) -> tuple[str, ...]:
    """Patterns of files in a folder inside the run's.

    Examples
    --------
    >>> below("tables", ["atoms.parquet"])
    ('tables/atoms.parquet',)
    """
    return tuple(f"{place}/{name}" for name in names)


def _stranger(folder: Path, patterns: Sequence[str]) -> Path | None:
    for path in _entries(folder):
        known = _leads_to(path, patterns) if _is_folder(folder / path) else _named(path, patterns)
        if not known:
            return path
    return None


def _entries(folder: Path) -> Iterator[Path]:
    """Everything below a folder, relative to it; links are entries and are not followed."""
    for place, folders, files in os.walk(folder):
        for name in sorted(folders) + sorted(files):
            yield (Path(place) / name).relative_to(folder)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _named(path: Path, patterns: Sequence[str]) -> bool:
    return any(_matches(_parts(path), pattern.split("/")) for pattern in patterns)


def _leads_to(path: Path, patterns: Sequence[str]) -> bool:
    parts = _parts(path)
    return any(_matches(parts, pattern.split("/")[: len(parts)]) for pattern in patterns if "/" in pattern)


def _parts(path: Path) -> list[str]:
    return [found[1] if (found := _UNFINISHED.fullmatch(part)) else part for part in path.parts]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))
