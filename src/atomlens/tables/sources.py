"""Where many structures come from: anything with a length and slices, read where and when they are needed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import ase
import ase.io
import numpy as np
from jaxtyping import Int

from atomlens.structures import InputError

# Structures whose fingerprint is taken at a time.
_CHUNK = 1024


@runtime_checkable
class StructureSource(Protocol):
    """A list of `ase.Atoms`, or what acts like one: picklable, with a length, and slices that can be gone through.

    An `InputError` in place of a structure says why that one cannot be read. A method ``fingerprint() -> str`` may tell
    by what sources differ; all structures are looked at where there is none.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...


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
        places, start = [], 0
        try:
            with path.open("rb") as file:
                while line := file.readline():
                    if not line.strip():
                        continue
                    start = file.tell() - len(line)
                    for _ in range(int(line) + 1):
                        if not file.readline():
                            raise InputError(f"{path}: breaks off within frame {len(places)}; the file is truncated")
                    places.append((start, file.tell()))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: frame {len(places)} does not begin with a number of atoms") from error
        if not places:
            raise InputError(f"{path}: holds no structure")
        return cls(path.resolve(), np.array(places, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: slice) -> XyzFrames:
        return XyzFrames(self.path, self.places[index])

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


def _parsed(text: bytes) -> ase.Atoms | InputError:
    try:
        atoms = ase.io.read(io.StringIO(text.decode()), index=0, format="extxyz")
    except Exception as error:  # ASE's readers raise whatever their parsing meets; all of it is bad input
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return InputError(f"ASE cannot read it ({reason})")
    return atoms if isinstance(atoms, ase.Atoms) else InputError("not one structure")


def fingerprint(source: StructureSource) -> str:
    """Digest that differs between sources of different structures."""
    told = getattr(source, "fingerprint", None)
    if callable(told):
        return str(told())
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
