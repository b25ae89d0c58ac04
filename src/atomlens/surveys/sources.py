"""Where many structures come from: anything with a length and slices, read where and when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, overload, runtime_checkable

import ase
import numpy as np
from jaxtyping import Int

from atomlens.structures import (
    InputError,
    check_file_atoms,
    frame_index,
    frame_places,
    holds_xyz,
    is_plain,
    read_frame,
    warn_of_notes,
    where,
)

# Structures whose fingerprint is taken at a time.
_CHUNK = 1024
# So many frames are looked at before any work begins: a second or two. Of more, only the first one is.
LOOKED_AT = 1000


@runtime_checkable
class StructureSource(Protocol):
    """A list of `ase.Atoms`, or what acts like one: picklable, with a length, numbers, and slices to go through.

    An `InputError` in place of a structure of a slice says why that one cannot be read. A method
    ``fingerprint() -> str`` may tell by what sources differ; all structures are looked at where there is none.
    """

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, index: int, /) -> Any: ...
    @overload
    def __getitem__(self, index: slice, /) -> Any: ...


class XyzFrames:
    """Frames of an (extended) xyz file: only their places in the file are in memory, and are pickled.

    Parameters
    ----------
    path
        The file.
    places
        First byte of each frame and the byte after its last, shape (n, 2).
    """

    def __init__(self, path: Path, places: Int[np.ndarray, "n 2"]) -> None:
        self.path = path
        self.places = places

    @classmethod
    def of(cls, path: str | Path) -> XyzFrames:
        """Find all frames of a file.

        Raises
        ------
        InputError
            If the file cannot be read, or is no xyz file, or breaks off within a frame.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                return cls(path.resolve(), frame_places(file, str(path)))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> ase.Atoms: ...
    @overload
    def __getitem__(self, index: slice) -> XyzFrames: ...
    def __getitem__(self, index: int | slice) -> ase.Atoms | XyzFrames:
        """One structure, read now, or some of the frames.

        Raises
        ------
        InputError
            If that one structure cannot be read.
        """
        if isinstance(index, slice):
            return XyzFrames(self.path, self.places[index])
        number = range(len(self))[index]
        (found,) = XyzFrames(self.path, self.places[number : number + 1])
        if isinstance(found, InputError):
            raise InputError(f"{self.path}, frame {number}: {found}")
        return found

    def __iter__(self) -> Iterator[ase.Atoms | InputError]:
        with self.path.open("rb") as file:
            for start, stop in self.places.tolist():
                try:
                    yield read_frame(file, start, stop)
                except InputError as error:
                    yield error

    def fingerprint(self) -> str:
        """Digest of the file and of which of its frames are meant."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(self.places.tobytes())
        return digest.hexdigest()


def is_xyz(path: Path) -> bool:
    """Whether a file is (extended) xyz, and its frames lie in it uncompressed."""
    return holds_xyz(path) and is_plain(path)


def open_frames(path: Path, frames: str = ":") -> XyzFrames:
    """Some frames of an xyz file, to be read when they are needed.

    Up to `LOOKED_AT` frames are all looked at now, so a bad one is found before any work begins; of more, the first
    is, and a survey lists those that it cannot use.

    Parameters
    ----------
    path
        The file.
    frames
        Which frames, as for `read_structures`.

    Raises
    ------
    InputError
        If the file is not whole, has no such frame, or one that is looked at is refused by `check_atoms`.
    """
    index = frame_index(frames)
    every = XyzFrames.of(path)
    try:
        picked = range(len(every))[index]
    except IndexError as error:
        raise InputError(f"{path}: frames {frames!r} asks for a frame that the file does not have") from error
    numbers = range(picked, picked + 1) if isinstance(picked, int) else picked
    if not numbers:
        raise InputError(f"{path}: frames {frames!r} selects no structure")
    chosen = XyzFrames(every.path, every.places[np.array(numbers)])
    looked_at: list[ase.Atoms] = []
    for number, atoms in zip(numbers, chosen[: len(chosen) if len(chosen) <= LOOKED_AT else 1], strict=False):
        if isinstance(atoms, InputError):
            raise InputError(f"{where(path, number, len(every))}: {atoms}")
        try:
            check_file_atoms(atoms)
        except InputError as error:
            raise InputError(f"{where(path, number, len(every))}: {error}") from error
        looked_at.append(atoms)
    warn_of_notes(looked_at, str(path))
    return chosen


def fingerprint(source: StructureSource) -> str:
    """Digest that differs between sources of different structures."""
    stated = getattr(source, "fingerprint", None)
    if callable(stated):
        return str(stated())
    digest = hashlib.sha256()
    for start in range(0, len(source), _CHUNK):
        for atoms in source[start : start + _CHUNK]:
            if isinstance(atoms, InputError):
                digest.update(str(atoms).encode())
                continue
            digest.update(repr((len(atoms), atoms.pbc.tolist(), str(atoms.info.get("name")))).encode())
            for values in (atoms.numbers, atoms.positions, atoms.cell.array):
                digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
