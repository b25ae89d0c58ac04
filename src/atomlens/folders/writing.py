"""A run folder that is either complete or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from atomlens.structures import InputError

# Every folder that atomlens wrote has this file; one without it is never replaced.
MARK = "summary.json"
# The page of a run.
PAGE = "report.html"


class RunFolder:
    """Context manager that fills a neighbour of `out` and renames it to `out` when all went well.

    On any exception, Ctrl-C included, the unfinished folder and every parent folder made for it are removed and
    an existing `out` is left as it was.

    Parameters
    ----------
    out
        Folder to make.
    overwrite
        Whether an `out` that atomlens wrote earlier may be replaced.

    Raises
    ------
    InputError
        If `out` is a file, a folder that must not be replaced, or cannot be written (permission, full disk).
    """

    def __init__(self, out: str | Path, overwrite: bool = False) -> None:
        self._named = str(out)
        try:
            self.out = Path(out).resolve()
        except OSError as error:
            raise self._refusal(error) from error
        self.path = self.out.with_name(f"{self.out.name}.partial-{os.getpid()}")
        self._overwrite = overwrite
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        """Check that `out` may be written, and make the folder to fill, `path`."""
        try:
            self._check()
            self._make_parents()
            if self.path.exists():  # left by a killed process that had our number
                shutil.rmtree(self.path)
            self.path.mkdir()
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
        self._clean()
        if isinstance(error, OSError) and not isinstance(error, InputError):
            raise self._refusal(error) from error

    def _check(self) -> None:
        out = self.out
        if not out.exists():
            return
        if not out.is_dir():
            raise InputError(f"--out {self._named}: is a file; name a folder that does not exist yet")
        if not any(out.iterdir()):
            return
        if not (out / MARK).is_file():
            raise InputError(
                f"--out {self._named}: the folder is not empty and was not written by atomlens; name another one"
            )
        if not self._overwrite:
            raise InputError(f"--out {self._named}: holds an earlier run; name another folder or add --overwrite")

    def _make_parents(self) -> None:
        missing = [parent for parent in self.out.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir()
            self._made.append(parent)

    def _publish(self) -> None:
        old = self.out.with_name(f"{self.out.name}.old-{os.getpid()}")
        replaced = self.out.exists()
        if replaced:
            self.out.rename(old)
        try:
            self.path.rename(self.out)
        except BaseException:
            if replaced:
                old.rename(self.out)
            raise
        if replaced:
            shutil.rmtree(old, ignore_errors=True)

    def _clean(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        for parent in reversed(self._made):
            try:
                parent.rmdir()
            except OSError:  # someone else put something there meanwhile
                break

    def _refusal(self, error: OSError) -> InputError:
        reason = error.strerror or str(error) or type(error).__name__
        reason = reason.splitlines()[0]
        return InputError(f"--out {self._named}: cannot be written ({reason}); nothing was left behind")
