"""Results of analyses on disk: numbers as JSON, tables as Parquet; loaded again as what they were."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
import polars as pl

from atomlens.folders.settings import convert
from atomlens.folders.stored import read_json, reading
from atomlens.structures import InputError

Result = TypeVar("Result")
_FILE = "result.json"


def save_result(result: Any, folder: Path) -> None:
    """Write a result (a dataclass of tables, numbers, strings, lists, dictionaries and `Effect`-like dataclasses).

    Every `polars.DataFrame` field becomes ``<field>.parquet``; all others go to ``result.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain: dict[str, Any] = {}
    for item in dataclasses.fields(result):
        value = getattr(result, item.name)
        if isinstance(value, pl.DataFrame):
            value.write_parquet(folder / f"{item.name}.parquet")
        else:
            plain[item.name] = to_plain(value)
    (folder / _FILE).write_text(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def load_result(kind: type[Result], folder: Path) -> Result:
    """Read a result of that kind back.

    Raises
    ------
    InputError
        If the folder holds no such result, or one of another version.
    """
    again = "delete this folder, then the same command answers the question again"
    with reading(folder / _FILE, again):
        plain = read_json(folder / _FILE)
    values: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for item in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        path = folder / f"{item.name}.parquet"
        with reading(folder / f"{item.name} of {_FILE}" if item.name in plain else path, again):
            if item.name in plain:
                values[item.name] = _converted(hints[item.name], plain[item.name], item.name, folder / _FILE, again)
            else:
                values[item.name] = pl.read_parquet(path)
    with reading(folder, again):
        return kind(**values)


def to_plain(value: Any) -> Any:
    """The value as JSON allows it: dataclasses as dictionaries, NaN and infinities as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _converted(hint: Any, value: Any, name: str, path: Path, advice: str) -> Any:
    try:
        return convert(hint, value, name, null_is_nan=True)
    except InputError as error:
        raise InputError(f"{path}: damaged ({error}); {advice}") from error
