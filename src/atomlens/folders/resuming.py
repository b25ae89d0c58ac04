"""Folders of long runs, which go on where they were stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from atomlens.folders.claims import claim, noted
from atomlens.folders.locks import alone_in
from atomlens.folders.ownership import MARKER, check_replaceable, mark, remove_ours
from atomlens.folders.writing import MARK, PAGE
from atomlens.structures import InputError, NothingDone

# Says what a run was asked for, from its first moment on; `MARK` is written last.
_STARTED = "started.json"
# What every run of this kind has besides its own files.
RUN_FILES = (MARKER, _STARTED, MARK, PAGE)


def started_settings(out: Path) -> dict[str, Any]:
    """What decides which run a folder of `open_run` holds; empty where it holds none."""
    settings = noted(out / _STARTED).get("settings")
    return settings if isinstance(settings, dict) else {}


def resumes(overwrite: bool) -> str:
    """What makes a run that was stopped go on, in words: `--overwrite` would delete what there is of it.

    Examples
    --------
    >>> resumes(overwrite=False)
    'the same command resumes'
    """
    return f"the same command{' without --overwrite' if overwrite else ''} resumes"


@contextmanager
def open_run(
    out: Path, settings: dict[str, Any], writes: Iterable[str], overwrite: bool = False, *, grows: bool = False
) -> Iterator[Path]:
    """The folder of a new or an unfinished run with the same settings, or of a finished one that `grows`.

    No other process of atomlens can have the folder meanwhile.

    Parameters
    ----------
    out
        The folder.
    settings
        What decides which run it is.
    writes
        Patterns of the files that the run writes, as `mark` takes them: what `overwrite` may delete one day.
    overwrite
        Whether a run of ours in `out` may be deleted first, if `out` holds nothing else.
    grows
        Whether a finished run may go on.

    Raises
    ------
    InputError
        If `out` holds something else: a file, a finished run, an unfinished one with other settings; or if another
        process is writing there.
    """
    shown = f"--out {out}"
    _check_folder(out, shown)
    with alone_in(out):
        _claim_run(out, shown, settings, (*writes, *RUN_FILES), overwrite, grows)
        yield out


def _check_folder(out: Path, shown: str) -> None:
    try:
        if os.path.lexists(out) and not out.is_dir():
            raise InputError(f"{shown}: is a file; name a folder that does not exist yet")
        if out.is_dir() and any(out.iterdir()) and not any((out / name).is_file() for name in (_STARTED, MARKER)):
            raise InputError(f"{shown}: the folder is not empty and was not written by atomlens; name another")
    except OSError as error:
        raise InputError(f"{shown}: {error.strerror or error}; name another folder") from error


def _claim_run(
    out: Path, shown: str, settings: dict[str, Any], writes: Iterable[str], overwrite: bool, grows: bool
) -> None:
    fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    try:
        if overwrite and any(out.iterdir()):
            check_replaceable(out, shown)
            remove_ours(out)
        elif (out / MARK).is_file() and not grows:
            raise InputError(f"{shown}: holds a finished run; name another folder or add --overwrite")
        _, other = claim(out / _STARTED, {"fingerprint": fingerprint}, {"settings": settings})
        if other:
            raise InputError(
                f"{shown}: holds an unfinished run with another model, structures or settings; "
                "repeat its command to go on, name another folder, or add --overwrite"
            )
        mark(out, writes)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"its {_STARTED} cannot be read"
        raise InputError(f"{shown}: {reason}; name another folder") from error


@contextmanager
def remove_if_empty(out: Path, error: type[BaseException] = NothingDone) -> Iterator[None]:
    """Remove the folder of a run, with the parents made for it, where `error` ends the run that made it.

    A folder that was there before stays, empty if it was empty; an unfinished run in it stays as well, and so does
    whatever others put there.
    """
    missing = [folder for folder in (out, *out.parents) if not os.path.lexists(folder)]
    ours = bool(missing) or _is_empty(out)
    try:
        yield
    except error:
        if ours:
            remove_ours(out)
        with suppress(OSError):  # someone else put something there meanwhile
            for folder in missing:
                folder.rmdir()
        raise


def _is_empty(folder: Path) -> bool:
    try:
        return not any(folder.iterdir())
    except OSError:  # what is wrong with it is found when it is opened
        return False
