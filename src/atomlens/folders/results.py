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
    try:
        plain = json.loads((folder / _FILE).read_text("utf-8"))
        if not isinstance(plain, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder}: holds no result of {kind.__name__}; run the analysis again") from error
    values: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for item in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        path = folder / f"{item.name}.parquet"
        try:
            if item.name in plain:
                values[item.name] = convert(hints[item.name], plain[item.name], item.name, null_is_nan=True)
                continue
            if path.is_file():
                values[item.name] = pl.read_parquet(path)
                continue
        except (ValueError, TypeError, LookupError, AttributeError, OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{folder}: its {item.name!r} is damaged; run the analysis again") from error
        raise InputError(f"{folder}: {kind.__name__} lacks {item.name!r}; run the analysis again")
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
