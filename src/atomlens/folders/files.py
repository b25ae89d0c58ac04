"""Files and folders that are complete or not there at all, whatever happens to the process that writes them."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A neighbour of a file that takes the file's place in one step, and is on disk before it is visible.

    Whatever raises meanwhile leaves the file that was there before, and nothing else. A kill leaves the neighbour, a
    hidden file, which the next writer of the same file removes.

    Parameters
    ----------
    path
        File to make or to replace, in a folder that exists.

    Yields
    ------
    Where to write.
    """
    _sweep(path)
    part = _part(path)
    try:
        yield part
        _sync(part)
        os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of text (UTF-8) at once: a kill leaves the old one or the new one."""
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Fill a folder that appears under its name only when everything in it is on disk.

    A kill while it is filled leaves a ``.part-<process>`` folder behind, which the next writer removes. If
    another process finished the same folder meanwhile, that one stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    part = _part(target)
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            _sync(file)
        _sync_folder(part)
        try:
            part.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _part(target: Path) -> Path:
    # The number of the process says whether it still writes; the rest keeps threads and machines apart.
    return target.with_name(f".{target.name}.part-{os.getpid()}-{uuid.uuid4().hex[:8]}")


def _sweep(target: Path) -> None:
    # What killed writers of the same target left behind.
    for stale in target.parent.glob(f".{glob.escape(target.name)}.part-*"):
        if not _alive(int(stale.name.rpartition("part-")[2].split("-")[0])):
            if stale.is_dir():
                shutil.rmtree(stale, ignore_errors=True)
            else:
                stale.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot; what is in the folder is complete without it.
    with suppress(OSError):
        _sync(folder)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
