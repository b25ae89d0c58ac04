"""Folders of long runs, which go on where they were stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from atomlens.folders.claims import claim
from atomlens.folders.writing import MARK
from atomlens.structures import InputError, NothingDone

# Says what a run was asked for, from its first moment on; `MARK` is written last.
_STARTED = "started.json"


def open_run(out: Path, settings: dict[str, Any], overwrite: bool = False, *, grows: bool = False) -> Path:
    """The folder of a new or an unfinished run with the same settings, or of a finished one that `grows`.

    Raises
    ------
    InputError
        If `out` holds something else: a file, a finished run, an unfinished one with other settings.
    """
    mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    try:
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out}: is a file; name a folder that does not exist yet")
        if out.is_dir() and any(out.iterdir()):
            ours = (out / _STARTED).is_file() or (out / MARK).is_file()
            if not ours:
                raise InputError(f"--out {out}: the folder is not empty and was not written by atomlens; name another")
            if overwrite:
                shutil.rmtree(out)
            elif (out / MARK).is_file() and not grows:
                raise InputError(f"--out {out}: holds a finished run; name another folder or add --overwrite")
        _, other = claim(out / _STARTED, {"fingerprint": mark}, {"settings": settings})
        if other:
            raise InputError(
                f"--out {out}: holds an unfinished run with another model, structures or settings; "
                "repeat its command to go on, name another folder, or add --overwrite"
            )
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"its {_STARTED} cannot be read"
        raise InputError(f"--out {out}: {reason}; name another folder") from error
    return out


@contextmanager
def nothing_left_in_vain(out: Path) -> Iterator[None]:
    """Remove the folder of a run, with the parents made for it, where `NothingDone` ends the run that made it.

    A folder that was there before stays, empty if it was empty; an unfinished run in it stays as well.
    """
    missing = [folder for folder in (out, *out.parents) if not os.path.exists(folder)]
    ours = bool(missing) or not _entries(out)
    try:
        yield
    except NothingDone:
        for path in _entries(out) if ours else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # someone else put something there meanwhile
            for folder in missing:
                folder.rmdir()
        raise


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # `open_run` tells what is wrong with it
        return []
