"""The containers that ``torch.save`` writes: a pickle, and the numbers it refers to.

Since torch 1.6 that is a zip file of uncompressed entries, ``NAME/data.pkl`` and ``NAME/data/KEY``; before, three
small pickles, the pickle of the object, a list of keys and the numbers, one after the other. Sizes are checked
against the file before anything of that size is made.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from atomlens.potentials.schnetpack.shells import StorageRef, TensorRef
from atomlens.potentials.schnetpack.unpickler import MAX_PICKLE, Pickle, read_pickle
from atomlens.structures import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x80\x02\x8a\n" + _LEGACY_MAGIC.to_bytes(10, "little") + b"."
_DAMAGED = "truncated or damaged; fetch or write it again"


class Archive:
    """What a file holds: the `root` object of its pickle, and the numbers of its tensors.

    Attributes
    ----------
    root
        The pickled object, as plain values and the records of `shells`.
    """

    def __init__(self, root: Any, size: int, read: Callable[[StorageRef], bytes]) -> None:
        self.root = root
        self._read = read
        self._storages: dict[str, bytes] = {}
        # Honest tensors do not overlap; a few that do (tied weights) still fit, and every storage counts once.
        self._budget = 5 * size + 2**20

    def tensor(self, ref: TensorRef) -> Tensor:
        """Copy of a tensor, on the CPU whatever device it was saved from.

        Raises
        ------
        InputError
            If it reaches beyond its storage, or the storage beyond the file.
        """
        storage, numel, last = ref.storage, 1, ref.offset
        for length, stride in zip(ref.shape, ref.stride, strict=True):
            numel *= length
            last += (length - 1) * stride
        if numel == 0 or last >= storage.numel or numel > storage.numel:
            raise InputError(
                f"a tensor of shape {ref.shape} at {ref.offset} does not fit its {storage.numel} numbers in the file"
            )
        self._budget -= numel * storage.dtype.itemsize
        if self._budget < 0:
            raise InputError("its tensors are together far larger than the file; refused")
        if storage.key not in self._storages:
            self._budget -= storage.numel * storage.dtype.itemsize
            if self._budget < 0:
                raise InputError("its storages are together far larger than the file; refused")
            self._storages[storage.key] = self._read(storage)
        data = self._storages[storage.key]
        if len(data) != storage.numel * storage.dtype.itemsize:
            raise InputError(
                f"storage {storage.key[:50]!r} has {len(data)} bytes, {storage.numel} numbers of type "
                f"{storage.dtype} are claimed; {_DAMAGED}"
            )
        flat = torch.frombuffer(bytearray(data), dtype=storage.dtype)
        return flat.as_strided(ref.shape, ref.stride, ref.offset).clone()


def open_zip(data: bytes) -> Archive:
    """Open a file of torch 1.6 or later.

    Raises
    ------
    InputError
        If it is damaged or is another kind of zip file.
    """
    entries = _Entries(data)
    pickles = [name for name in entries.names if name == "data.pkl" or name.endswith("/data.pkl")]
    if any(name.endswith("constants.pkl") or "/code/" in name for name in entries.names):
        raise InputError("a TorchScript file, which holds a program; give the model that torch.save wrote")
    if len(pickles) != 1:
        raise InputError("a zip file, but not one that torch.save wrote (no data.pkl in it); give a model file")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in entries.names and entries.read(f"{folder}byteorder", 16) != b"little":
        raise InputError("written on a big-endian machine, which is not supported; save it on another one")
    pickle = read_pickle(entries.read(pickles[0], MAX_PICKLE))
    return Archive(
        pickle.root,
        len(data),
        lambda ref: entries.read(f"{folder}data/{ref.key}", ref.numel * ref.dtype.itemsize),
    )


def open_legacy(data: bytes) -> Archive:
    """Open a file of torch before 1.6, or of ``torch.save(..., _use_new_zipfile_serialization=False)``.

    Raises
    ------
    InputError
        If it is damaged.
    """
    position = len(LEGACY_START)
    parts: list[Pickle] = []
    for _ in range(4):  # protocol, system, object, keys of the storages in their order
        parts.append(read_pickle(data, position))
        position = parts[-1].end
    _, system, model, keys = parts
    if not isinstance(system.root, dict) or system.root.get("little_endian") is not True:
        raise InputError("written on a big-endian machine, which is not supported; save it on another one")
    places: dict[str, tuple[int, int]] = {}
    for key in keys.root if isinstance(keys.root, list) else []:
        ref = model.storages.get(key) if isinstance(key, str) else None
        # Each storage lies behind its number of elements.
        if ref is None or int.from_bytes(data[position : position + 8], "little") != ref.numel:
            raise InputError(f"its list of storages is {_DAMAGED}")
        start, position = position + 8, position + 8 + ref.numel * ref.dtype.itemsize
        places[key] = start, position

    def read(ref: StorageRef) -> bytes:
        start, end = places.get(ref.key, (0, 0))
        return data[start:end]

    return Archive(model.root, len(data), read)


class _Entries:
    """Uncompressed entries of a zip file."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        # A zip file's directory can be wrong in more ways than zipfile's own exception names.
        except (zipfile.BadZipFile, ValueError, OSError, struct.error, LookupError, NotImplementedError) as error:
            raise InputError(f"a zip file that is {_DAMAGED}") from error
        self.names = {info.filename: info for info in self._zip.infolist()}

    def read(self, name: str, most: int) -> bytes:
        """Bytes of one entry, checked against its checksum, if they are at most so many."""
        info = self.names.get(name)
        shown = repr(name[-60:])
        if info is None:
            raise InputError(f"the entry {shown} is missing in it; {_DAMAGED}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"its entry {shown} is compressed, which torch.save never does; refused")
        if info.file_size > most:
            raise InputError(f"its entry {shown} has {info.file_size} bytes, at most {most} belong there; refused")
        if info.CRC == 0:  # torch can be told to leave the checksums out
            info.CRC = None  # pyright: ignore[reportAttributeAccessIssue]
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, ValueError, OSError, EOFError, struct.error, RuntimeError) as error:
            raise InputError(f"its entry {shown} is {_DAMAGED}") from error
