"""Folders of long runs, which go on where they were stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from atomlens.report.writing import MARK
from atomlens.structures import InputError
from atomlens.structures.claims import claim

# Says what a run was asked for, from its first moment on; `MARK` is written last.
_STARTED = "started.json"


def open_run(out: Path, settings: dict[str, Any], overwrite: bool = False) -> Path:
    """The folder of a new or an unfinished run with the same settings.

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
            elif (out / MARK).is_file():
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
