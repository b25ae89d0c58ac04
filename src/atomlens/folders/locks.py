"""One process for each folder: locks that the system releases however the process ends.

The lock is ``flock`` on the folder itself, so that nothing more lies in it. Numbers of processes would not do: they
come again, and a container has its own.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from atomlens.structures import InputError

# How long one waits for a lock that others hold for a moment only.
_PATIENCE = 10.0
# Folders (device, number) that runs of this process keep for themselves.
_own: set[tuple[int, int]] = set()


class FolderLock:
    """An exclusive lock on a folder, from `take_lock`; released by `release` or by the end of the process."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle
        self._kept: tuple[int, int] | None = None

    def keep(self) -> FolderLock:
        """Have the folder to oneself: whoever else of this process makes something in it need not wait."""
        assert self._handle is not None
        found = os.fstat(self._handle)
        self._kept = (found.st_dev, found.st_ino)
        _own.add(self._kept)
        return self

    def release(self) -> None:
        """Let others have the folder; further calls do nothing."""
        if self._kept is not None:
            _own.discard(self._kept)
            self._kept = None
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def take_lock(folder: Path) -> FolderLock | None:
    """Lock a folder that exists; None where another process (or another lock of this one) has it.

    Raises
    ------
    OSError
        If the folder cannot be opened, or its file system has no locks.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return FolderLock(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes of atomlens out of a folder, which is made where there is none.

    Some network file systems have no locks; there nobody is kept out.

    Raises
    ------
    InputError
        If another process is writing there, or the folder cannot be made or opened.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as name, alone_in(Path(name)):
    ...     take_lock(Path(name)) is None
    True
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; name another folder") from error
    lock = None
    with suppress(OSError):
        lock = take_lock(folder)
        if lock is None:
            raise InputError(f"{folder}: another process is writing there; wait for it, or end it")
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


@contextmanager
def for_a_moment(folder: Path) -> Iterator[None]:
    """Take turns with other processes that look into a folder and then make something in it.

    Where a run of this process keeps the folder, others are kept out already.
    """
    if _is_own(folder):
        yield
        return
    lock, patience = None, time.monotonic() + _PATIENCE
    with suppress(OSError):  # no locks here: then whoever publishes first wins, and the other one is refused
        while (lock := take_lock(folder)) is None and time.monotonic() < patience:
            time.sleep(0.01)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _is_own(folder: Path) -> bool:
    with suppress(OSError):
        found = folder.stat()
        return (found.st_dev, found.st_ino) in _own
    return False
