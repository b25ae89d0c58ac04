"""Where many structures come from: anything with a length and slices, read where and when they are needed."""

from __future__ import annotations

import hashlib
import io
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, overload, runtime_checkable

import ase
import ase.io
import numpy as np
from ase.io.formats import filetype, get_compression
from jaxtyping import Int

from atomlens.structures import InputError, check_atoms, frame_index

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
        places = array("q")  # millions of them: 16 bytes a frame
        try:
            with path.open("rb") as file:
                while line := file.readline():
                    if not line.strip():
                        continue
                    if _is_cell_vector(line):  # of the frame before; ASE reads it
                        if places:
                            places[-1] = file.tell()
                        continue
                    start = file.tell() - len(line)
                    for _ in range(int(line) + 1):
                        if not file.readline():
                            raise InputError(
                                f"{path}: breaks off within frame {len(places) // 2}; the file is truncated"
                            )
                    places.extend((start, file.tell()))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: frame {len(places) // 2} does not begin with a number of atoms") from error
        if not places:
            raise InputError(f"{path}: holds no structure")
        return cls(path.resolve(), np.frombuffer(places, dtype=np.int64).reshape(-1, 2))

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
                file.seek(start)
                yield _parsed(file.read(stop - start))

    def fingerprint(self) -> str:
        """Digest of the file and of which of its frames are meant."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(self.places.tobytes())
        return digest.hexdigest()


def is_xyz(path: Path) -> bool:
    """Whether ASE takes a file for (extended) xyz, and its frames lie in it uncompressed."""
    try:
        return get_compression(str(path))[1] is None and filetype(str(path)) == "extxyz"
    except Exception:  # whatever ASE's guessing meets: then it is no xyz
        return False


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
    looked_at = len(chosen) if len(chosen) <= LOOKED_AT else 1
    for number, atoms in zip(numbers, chosen[:looked_at], strict=False):
        where = str(path) if list(numbers[:2]) == [0] else f"{path}, frame {number}"
        if isinstance(atoms, InputError):
            raise InputError(f"{where}: {atoms}")
        try:
            check_atoms(atoms)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    return chosen


def _is_cell_vector(line: bytes) -> bool:
    return line.lstrip().startswith(b"VEC")


def _parsed(text: bytes) -> ase.Atoms | InputError:
    try:
        atoms = ase.io.read(io.StringIO(text.decode()), index=0, format="extxyz")
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return InputError(f"ASE cannot read it ({reason})")
    return atoms if isinstance(atoms, ase.Atoms) else InputError("not one structure")


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
