"""Settings from TOML into dataclasses; a misspelt key is an error that names the right one."""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from atomlens.structures import InputError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error


def build(kind: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass from a table of settings, tables inside it included.

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
            raise InputError(f"unknown setting {where + key!r}; {_suggestion(key, names)}")
    for f in fields(kind):
        if f.name not in data and f.default is MISSING and f.default_factory is MISSING:
            raise InputError(f"setting {where + f.name!r} is missing; add it")
    values = {key: _convert(hints[key], value, where + key) for key, value in data.items()}
    try:
        return kind(**values)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where.rstrip('.') or 'settings'}: {error}") from error


def _suggestion(key: str, names: list[str]) -> str:
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"setting {where!r} is {value!r}; it must be a table [{where}]")
        return build(typing.cast(type, hint), value, f"{where}.")
    if origin is types.UnionType:
        return _convert(next(a for a in args if a is not types.NoneType), value, where)
    if origin is Literal:
        if value in args:
            return value
        choices = [str(a) for a in args]
        raise InputError(
            f"setting {where!r} is {value!r}; {_suggestion(str(value), choices)} (choices: {', '.join(choices)})"
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise InputError(f"setting {where!r} is {value!r}; it must be of type {hint.__name__}")
