"""Files as they come: there or not, regular or not, compressed, in any encoding."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import zlib
from pathlib import Path
from typing import Any

from atomlens.structures.errors import InputError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
UTF8_MARK = b"\xef\xbb\xbf"
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_PACKED = (".gz", ".bz2", ".xz")
_PEEK = 4096
# What a compressed file may hold, in bytes; a few kilobytes can expand to any size.
_MOST = 2**31


def check_regular(path: Path) -> None:
    """Raise `InputError` where opening a path would wait for somebody to write (a pipe), or never end (a device)."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise InputError(f"{path} is {kind}, not a file; write its content to a file first")


def structure_file(path: str | Path) -> Path | None:
    """The path of a file that is there, can be read and holds something; None where nothing has that name.

    Raises
    ------
    InputError
        If it is a folder, a pipe or a device, is empty, or may not be read.
    """
    if not _is_there(path):
        return None
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a structure file, or rename the folder if a SMILES string is meant")
    check_regular(path)
    try:
        empty = path.stat().st_size == 0
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it") from error
    if empty:
        raise InputError(f"{path} is empty; give a file with at least one structure")
    return path


def _is_there(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def suffix_of(path: Path) -> str:
    """Suffix in lower case, of the file inside where it is compressed.

    Examples
    --------
    >>> suffix_of(Path("A.XYZ")), suffix_of(Path("a.sdf.gz"))
    ('.xyz', '.sdf')
    """
    name = Path(path.name.lower())
    return Path(name.stem).suffix if name.suffix in _PACKED else name.suffix


def is_plain(path: Path) -> bool:
    """Whether the lines of a file lie in it as they are: no compression, no UTF-16, no line ends of old Macs."""
    with path.open("rb") as file:
        start = file.read(_PEEK)
    return not start.startswith((*_COMPRESSED, *_UTF16)) and not (b"\r" in start and b"\n" not in start)


def open_lines(path: Path) -> io.BufferedIOBase:
    """A file whose lines end in newlines: decompressed, and UTF-16 and carriage returns translated.

    Raises
    ------
    InputError
        If it cannot be decompressed or decoded, or holds more than memory should take.
    """
    if is_plain(path):
        return path.open("rb")
    data = _decompressed(path)
    try:
        if data.startswith(_UTF16):
            data = data.decode("utf-16").encode()
    except ValueError as error:
        raise InputError(f"{path}: begins like UTF-16 text, but is none ({error}); damaged or truncated?") from error
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return io.BytesIO(data)


def _decompressed(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), open)
    try:
        with opener(path, "rb") as file:
            data = file.read(_MOST + 1)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path}: cannot be decompressed ({error}); damaged or truncated?") from error
    if len(data) > _MOST:
        raise InputError(f"{path}: holds more than {_MOST / 2**30:g} GiB; decompress it, or give a part of it")
    return data


def decoded(text: bytes) -> str:
    """Text of a file that does not say how it is encoded: UTF-8, else Latin-1, which takes every byte."""
    text = text.removeprefix(UTF8_MARK)
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def lines_of(text: str) -> list[str]:
    """Lines of a text; other characters that `str.splitlines` breaks at may stand in comments."""
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
