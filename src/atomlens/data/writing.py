"""What a data set that is made on the spot says where its disk does not take it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atomlens.structures import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def keeping(out: Path) -> Iterator[None]:
    """Say in one line which folder cannot be written, and that nothing finished is lost.

    Raises
    ------
    InputError
        In place of what writing raised.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        if error.errno in _FULL:
            told = f"the disk is full ({reason}); make room"
        else:
            told = f"cannot be written ({reason}); make the folder writable"
        raise InputError(f"{out}: {told}, then the same command resumes") from error
