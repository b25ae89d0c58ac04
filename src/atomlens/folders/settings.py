"""Plain data into dataclasses: settings from TOML, headers of model files, stored results.

A misspelt key is an error that names the right one. Own code, not cattrs or dacite: both report a wrong value by an
exception of their own, of several lines for nested classes, and have neither suggestions nor bounds on numbers, so that
every hook would be written here all the same.
"""

from __future__ import annotations

import difflib
import math
import sys
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from atomlens.structures import InputError

T = TypeVar("T")
# Bytes of a file of settings; letters of a value that a message shows.
_LARGEST, _SHOWN = 2**20, 80


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If it is missing or not TOML.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no file; give a TOML file")
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: has {path.stat().st_size} bytes, at most {_LARGEST} are read; give a TOML file")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a TOML file") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, a number of thousands of digits
        raise InputError(f"{path}: not a TOML file ({error})") from error


def build(kind: type[T], data: Mapping[str, Any], where: str = "", *, null_is_nan: bool = False) -> T:
    """Make a dataclass from a table of settings, tables inside it included.

    Parameters
    ----------
    kind
        The dataclass.
    data
        Its fields.
    where
        What stands before their names in messages.
    null_is_nan
        Whether a null where a number belongs is NaN, as in results, rather than a mistake, as in settings.

    Raises
    ------
    InputError
        If a key is unknown, missing, or its value has the wrong type; the message suggests the closest key.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Fit:
    ...     epochs: int = 10
    >>> build(Fit, {"epoch": 3})
    Traceback (most recent call last):
        ...
    atomlens.structures.errors.InputError: unknown setting 'epoch'; did you mean 'epochs'?
    """
    assert is_dataclass(kind)
    hints = typing.get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    for key in data:
        if key not in names:
            raise InputError(f"unknown setting {where + str(key)[:_SHOWN]!r}; {_suggestion(str(key)[:_SHOWN], names)}")
    for f in fields(kind):
        if f.name not in data and f.default is MISSING and f.default_factory is MISSING:
            raise InputError(f"setting {where + f.name!r} is missing; add it")
    values = {key: convert(hints[key], value, where + key, null_is_nan=null_is_nan) for key, value in data.items()}
    try:
        return kind(**values)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where.rstrip('.') or 'settings'}: {error}") from error


def _suggestion(key: str, names: list[str]) -> str:
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def convert(hint: Any, value: Any, where: str, *, null_is_nan: bool = False) -> Any:
    """One value as its type hint says, see `build`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"setting {where!r} is {_shown(value)}; it must be a table [{where}]")
        return build(typing.cast(type, hint), value, f"{where}.", null_is_nan=null_is_nan)
    if origin is types.UnionType:
        inner = next(a for a in args if a is not types.NoneType)
        return None if value is None else convert(inner, value, where, null_is_nan=null_is_nan)
    if origin is Literal:
        if isinstance(value, str) and value in args:
            return value
        choices = [str(a) for a in args]
        hint = _suggestion(str(value)[:_SHOWN], choices)
        raise InputError(f"setting {where!r} is {_shown(value)}; {hint} (choices: {', '.join(choices)})")
    if origin in (tuple, list) and isinstance(value, list | tuple):
        return origin(convert(args[0], entry, where, null_is_nan=null_is_nan) for entry in value)
    if origin is dict and isinstance(value, dict):
        return {k: convert(args[1], v, f"{where}.{k}", null_is_nan=null_is_nan) for k, v in value.items()}
    if hint is Any:
        return value
    if hint is float and value is None and null_is_nan:
        return math.nan
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not -sys.float_info.max <= value <= sys.float_info.max:  # NaN is no number either
            raise InputError(f"setting {where!r} is {_shown(value)}; it must be a finite number")
        return float(value)
    if origin is None and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        if isinstance(value, int) and abs(value) >= 2**63:
            raise InputError(f"setting {where!r} is {_shown(value)}; whole numbers go up to 2^63")
        return value
    kind = {tuple: "a list", list: "a list", dict: "a table"}.get(origin, f"of type {getattr(hint, '__name__', hint)}")
    raise InputError(f"setting {where!r} is {_shown(value)}; it must be {kind}")


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:  # Python refuses to spell out thousands of digits
        return "a number of more than " + f"{_SHOWN} digits"
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}..."
