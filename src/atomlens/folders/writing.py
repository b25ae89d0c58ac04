"""A run folder that is either complete or not there."""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from atomlens.folders.locks import FolderLock, for_a_moment, take_lock
from atomlens.folders.ownership import check_replaceable, mark, mark_as_it_is, remove_ours, written_here
from atomlens.folders.stored import read_json
from atomlens.structures import InputError

# Written last into every run's folder.
MARK = "summary.json"
# The page of a run.
PAGE = "report.html"
# Folders in the making, and earlier runs for the moment in which another takes their place.
_PARTIAL, _OLD = "partial", "replaced"


def read_summary(folder: Path) -> dict[str, Any]:
    """``summary.json`` of a run.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no JSON object, or one with numbers that are none (NaN, infinities).
    """
    return read_json(folder / MARK)


class RunFolder:
    """Context manager that fills a neighbour of `out` and renames it to `out` when all went well.

    On any exception, Ctrl-C included, the unfinished folder and every parent folder made for it are removed and
    an existing `out` is left as it was. What a kill left behind is removed by the next run in the same place: the
    neighbour is locked as long as its process lives. Two runs never share an `out`: the second one is refused.

    Parameters
    ----------
    out
        Folder to make.
    overwrite
        Whether an `out` that atomlens wrote earlier, and that holds nothing else, may be replaced.

    Raises
    ------
    InputError
        If `out` is a file, a folder that must not be replaced, is being written by another process, or cannot be
        written (permission, full disk).
    """

    def __init__(self, out: str | Path, overwrite: bool = False) -> None:
        self._named = str(out)
        try:
            self.out = Path(out).resolve()
            self.path = _neighbour(self.out, _PARTIAL)
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a zero byte, the root
            raise InputError(f"--out {self._named}: cannot be used ({_reason(error)}); name another folder") from error
        self._overwrite = overwrite
        self._made: list[Path] = []
        self._mine = False
        self._lock: FolderLock | None = None

    def __enter__(self) -> Self:
        """Check that `out` may be written, and make the folder to fill, `path`."""
        try:
            self._check()
            self._make_parents()
            with for_a_moment(self.out.parent):
                _sweep(self.out.parent)
                self._check_alone()
                self._check()
                self.path.mkdir()
                self._mine = True
                with suppress(OSError):  # a file system without locks
                    lock = take_lock(self.path)
                    self._lock = lock and lock.keep()
                mark(self.path, ())
        except OSError as error:
            self._clean()
            raise self._refusal(error) from error
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the finished folder in its place, or remove what there is of it."""
        if error is None:
            try:
                self._publish()
                return
            except OSError as failure:
                self._clean()
                raise self._refusal(failure) from failure
            except BaseException:
                self._clean()
                raise
            finally:
                self._release()
        self._clean()
        if isinstance(error, OSError) and not isinstance(error, InputError):
            raise self._refusal(error) from error

    def _check(self) -> None:
        out = self.out
        if not os.path.lexists(out):
            return
        if not out.is_dir():
            raise InputError(f"--out {self._named}: is a file; name a folder that does not exist yet")
        if not any(out.iterdir()):
            return
        if not self._overwrite and written_here(out) is not None:
            raise InputError(f"--out {self._named}: holds an earlier run; name another folder or add --overwrite")
        check_replaceable(out, f"--out {self._named}")

    def _check_alone(self) -> None:
        # What is dead was swept; what is left has a living owner, or one that cannot be told from a living one.
        for other in self.out.parent.glob(f"{_escaped(self.out.name)}.{_PARTIAL}-*"):
            if written_here(other) is not None:
                raise InputError(
                    f"--out {self._named}: another process is writing it ({other.name}); wait for it, or name another "
                    "folder"
                )

    def _make_parents(self) -> None:
        missing = [parent for parent in self.out.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            self._made.append(parent)

    def _publish(self) -> None:
        """Rename, which replaces an empty folder and nothing else; an earlier run is moved aside first, and back."""
        mark_as_it_is(self.path)
        with for_a_moment(self.out.parent):
            old = None
            if self._overwrite and self.out.is_dir() and any(self.out.iterdir()):
                check_replaceable(self.out, f"--out {self._named}")  # once more: hours may have passed
                old = _neighbour(self.out, _OLD)
                self.out.rename(old)
            try:
                self.path.rename(self.out)
            except BaseException:
                if old is not None:
                    old.rename(self.out)
                raise
        if old is not None:
            _remove(old)

    def _clean(self) -> None:
        if self._mine:
            shutil.rmtree(self.path, ignore_errors=True)
        self._release()
        for parent in reversed(self._made):
            try:
                parent.rmdir()
            except OSError:  # someone else put something there meanwhile
                break

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _refusal(self, error: OSError) -> InputError:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return InputError(f"--out {self._named}: another run was finished there meanwhile; name another folder")
        return InputError(f"--out {self._named}: cannot be written ({_reason(error)}); nothing was left behind")


def _neighbour(out: Path, kind: str) -> Path:
    return out.with_name(f"{out.name}.{kind}-{os.getpid()}")


def _sweep(parent: Path) -> None:
    """Remove folders of killed runs: ours by their marker, and locked by nobody."""
    for path in parent.glob(f"*.{_PARTIAL}-*"):
        if _is_dead(path, _PARTIAL):
            shutil.rmtree(path, ignore_errors=True)
    for path in parent.glob(f"*.{_OLD}-*"):
        if _is_dead(path, _OLD):
            out = path.with_name(re.sub(rf"\.{_OLD}-\d+$", "", path.name))
            if os.path.lexists(out):
                _remove(path)
            else:  # killed between moving it aside and taking its place
                with suppress(OSError):
                    path.rename(out)


def _remove(old: Path) -> None:
    remove_ours(old)
    with suppress(OSError):  # what is not ours stays, in a folder that says whence it is
        old.rmdir()


def _is_dead(path: Path, kind: str) -> bool:
    if not re.search(rf"\.{kind}-\d+$", path.name) or path.is_symlink() or not path.is_dir():
        return False
    if written_here(path) is None and any(path.iterdir()):
        return False
    try:
        lock = take_lock(path)
    except OSError:  # no locks here: nobody can tell
        return False
    if lock is None:
        return False
    lock.release()
    return True


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason.splitlines()[0]
