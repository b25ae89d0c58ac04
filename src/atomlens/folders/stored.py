"""Reading back what a run left: whatever is in its files by now, one line says so and nothing is touched."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from atomlens.structures import InputError, check_regular

# Bytes of a JSON file of ours; the largest, of long data sets, have some megabytes.
_LARGEST = 2**28
# What content that is not ours makes of our own reading, and of that of NumPy, Polars, Arrow and safetensors.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # of torch, and of recursion
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file that we wrote, which has finite numbers alone.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no file, is larger than any of ours, or is no JSON object; the message says what it is.
    """
    check_regular(path)
    if (size := path.stat().st_size) > _LARGEST:
        raise ValueError(f"it has {size} bytes")
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested without end") from error
    if not isinstance(data, dict):
        raise ValueError(f"it holds a {type(data).__name__}, not an object")
    return data


def no_name_twice(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    """What `json.loads` makes of an object (its ``object_pairs_hook``), where a person wrote it.

    Raises
    ------
    ValueError
        If a name is there twice: JSON takes the last one without a word.

    Examples
    --------
    >>> json.loads('{"a": 1, "a": 2}', object_pairs_hook=no_name_twice)
    Traceback (most recent call last):
    ...
    ValueError: 'a' is there twice
    """
    found: dict[str, Any] = {}
    for name, value in entries:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found


@contextmanager
def reading(path: Path, advice: str) -> Iterator[None]:
    """Say in one line that a file or folder of ours is damaged, whatever reading it raises.

    Parameters
    ----------
    path
        The file or folder.
    advice
        What to do about it.

    Raises
    ------
    InputError
        In place of what reading raised.

    Examples
    --------
    >>> with reading(Path("run/row.json"), "delete it"):
    ...     int("x")
    Traceback (most recent call last):
        ...
    atomlens.structures.errors.InputError: run/row.json: damaged (invalid literal for int() with base 10: 'x'); \
delete it
    """
    from polars.exceptions import PanicException, PolarsError  # half a second, which most commands need not take
    from safetensors import SafetensorError

    try:
        if path.exists():
            check_regular(path)
        yield
    except InputError:
        raise
    except (*_DAMAGE, PanicException, PolarsError, SafetensorError) as error:
        raise InputError(f"{path}: damaged ({_reason(error)}); {advice}") from error


def whole(value: Any, low: int, high: int) -> int:
    """A number that must be whole and lie from `low` to `high`.

    Raises
    ------
    ValueError
        If it is anything else.

    Examples
    --------
    >>> whole(3, 0, 5)
    3
    """
    if type(value) is not int or not low <= value <= high:
        shown = f"a {type(value).__name__}" if type(value) is not int else "a number out of range"
        raise ValueError(f"it has {shown} where a whole number from {low} to {high} belongs")
    return value


def _reason(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return f"it lacks {said}" if isinstance(error, KeyError) else said.splitlines()[0][:200]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it has a {name} where a number belongs")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"it has {text[:20]} where a number belongs")
    return number
