"""What may have become of a file that an earlier run left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def _in_place(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGES: dict[str, Damage] = {
    "gone": Path.unlink,
    "empty": _bytes(lambda data: b""),
    "cut off": _bytes(lambda data: data[: len(data) // 2]),
    "without its last byte": _bytes(lambda data: data.rstrip()[:-1]),
    "no text": _bytes(lambda data: b"\xff\xfe\x00\x80" * 64),
    "one bit in the middle": _bytes(lambda data: data[: len(data) // 2] + b"\xa5" + data[len(data) // 2 + 1 :]),
    "another object": _bytes(lambda data: b'{"schema": 99, "format": "other", "version": 1e3}'),
    "a list": _bytes(lambda data: b"[1, 2]"),
    "null": _bytes(lambda data: b"null"),
    "nested without end": _bytes(lambda data: b"[" * 200_000),
    "not a number": _bytes(lambda data: b'{"fingerprint": NaN}'),
    "infinite": _bytes(lambda data: b'{"fingerprint": 1e999}'),
    "thousands of digits": _bytes(lambda data: b'{"fingerprint": ' + b"9" * 5000 + b"}"),
    "a folder": _in_place(Path.mkdir),
    "a link to itself": _in_place(lambda path: path.symlink_to(path.name)),
    "a device": _in_place(lambda path: path.symlink_to("/dev/zero")),
    "a pipe": _in_place(os.mkfifo),
}
MISSING = object()
# What stands in place of a value.
OTHERS: tuple[Any, ...] = (None, [], {}, "x", -1, 10**30, 1e300, True, [[]], "\x1b[31m\n", 0.5)


def json_damages(path: Path, most: int = 15) -> Iterator[tuple[str, Damage]]:
    """Damages of a JSON file: entries in turn are missing, and are something else; `most` entries, evenly spread."""
    data = json.loads(path.read_text())
    places = list(_places(data))
    for number, place in enumerate(places[:: -(-len(places) // most)]):
        name = ".".join(map(str, place))
        yield f"{name} missing", lambda path, place=place: _put(path, place, MISSING)
        for other in (OTHERS[number % len(OTHERS)], OTHERS[(5 * number + 3) % len(OTHERS)]):
            yield f"{name} = {other!r}", lambda path, place=place, other=other: _put(path, place, other)
    if isinstance(data, list):
        yield "an entry more", lambda path: path.write_text(json.dumps([*data, "x"]))
    else:
        yield "an entry more", lambda path: _put(path, ("more",), {"x": [1]})


def _places(data: Any, depth: int = 4) -> Iterator[tuple[str | int, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data[:1]) if isinstance(data, list) else ()
    for key, value in inner:
        yield (key,)
        if depth:
            yield from ((key, *rest) for rest in _places(value, depth - 1))


def _put(path: Path, place: tuple[str | int, ...], value: Any) -> None:
    data = json.loads(path.read_text())
    table = data
    for key in place[:-1]:
        table = table[key]
    if value is MISSING:
        del table[place[-1]]
    else:
        table[place[-1]] = value
    path.write_text(json.dumps(data))


def copied(home: Path, target: Path) -> Path:
    """A copy of a folder in place of what is there."""
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(home, target, symlinks=True)
