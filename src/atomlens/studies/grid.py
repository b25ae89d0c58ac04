"""The grid of a study: from axes and their values to models, their names and their training configurations."""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomlens.folders import build
from atomlens.structures import InputError
from atomlens.training import DataSettings, FitSettings, TrainConfig

if TYPE_CHECKING:
    from atomlens.studies.plan import StudyConfig

# Sections of a training configuration; `seed` stands outside of them.
_SECTIONS = ("data", "model", "fit")
_PATHS = ("path", "test_path")
# Models of one study, and bytes of a model's name.
_MOST_MODELS, _LONGEST_NAME = 10_000, 200


@dataclass(frozen=True)
class Member:
    """One model of a study.

    Attributes
    ----------
    name
        From its place on the axes ("painn-cutoff5.0-seed1").
    axes
        Its setting on every axis.
    config
        Its training configuration as a table of sections, paths absolute.
    """

    name: str
    axes: dict[str, Any]
    config: dict[str, Any]

    def toml(self) -> str:
        """The configuration as TOML."""
        lines = [f"{key} = {_toml(value)}" for key, value in self.config.items() if not isinstance(value, dict)]
        for section in _SECTIONS:
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in self.config[section].items()]
        return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML: JSON's, but for characters beyond U+FFFF, of which JSON makes two, and the one it leaves raw."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def members_of(config: StudyConfig, home: Path) -> tuple[Member, ...]:
    """All models of a study, with paths from the folder of its file.

    Raises
    ------
    InputError
        If an axis is empty or unknown, two say the same setting, or two models are one or share a name.
    """
    if not config.grid:
        raise InputError("the grid is empty; give at least one axis, for example seed = [1, 2]")
    for axis, values in config.grid.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"axis {axis!r}: give a list of at least one value, received {values!r}")
    if (size := math.prod(map(len, config.grid.values()))) > _MOST_MODELS:
        raise InputError(f"the grid has {size} models; up to {_MOST_MODELS} can be studied, take values off its axes")
    _check_axes(config)
    members: list[Member] = []
    first: dict[TrainConfig, str] = {}
    for places in product(*(range(len(values)) for values in config.grid.values())):
        if config.half and sum(k for axis, k in zip(config.grid, places, strict=True) if axis != "seed") % 2:
            continue
        values = [config.grid[axis][k] for axis, k in zip(config.grid, places, strict=True)]
        axes = {axis: _shown(axis, value) for axis, value in zip(config.grid, values, strict=True)}
        table: dict[str, Any] = {"name": "", "seed": 0, **{s: dict(getattr(config, s)) for s in _SECTIONS}}
        for axis, value in zip(config.grid, values, strict=True):
            for setting, one in _flat(axis, value):
                _set(table, setting, one)
        if config.steps:
            table["fit"]["epochs"] = _epochs(table, config.steps)
        for key in _PATHS:
            if table["data"].get(key):
                table["data"][key] = str((home / table["data"][key]).resolve())
        name = "-".join(_label(axis, value) for axis, value in axes.items())
        table["name"] = f"{config.name}-{name}"
        built = replace(build(TrainConfig, table), name="")  # reports a mistake before anything is trained
        if other := first.get(built):
            raise InputError(f"the grid names a model twice, as {other} and as {name}; take one off its axis")
        first[built] = name
        members.append(Member(name, axes, table))
    _check_names([member.name for member in members])
    return tuple(members)


def _check_axes(config: StudyConfig) -> None:
    """A setting has one axis, or its models would not have the value that stands in the table."""
    first = {"fit.epochs": "steps"} if config.steps else {}
    for axis, values in config.grid.items():
        settings = {name for value in values for name, _ in _flat(axis, value)}
        for name in sorted(settings & set(first)):
            given = f"axis {axis!r}" + (f" ({name})" if name != axis else "")
            other = first[name] if first[name] == "steps" else f"axis {first[name]!r}"
            raise InputError(
                f"{given} and {other} both give {name}, and a model can have one value only; take it off one of them"
            )
        first |= dict.fromkeys(settings, axis)


def _check_names(names: list[str]) -> None:
    """Names become folders: each must be one, and no two the same, on file systems that know no capitals either."""
    first: dict[str, str] = {}
    for name in names:
        if not name.strip("._- ") or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
            raise InputError(
                f"a model of the grid would be called {name[:_LONGEST_NAME]!r}, which cannot be a folder; give values "
                f"of axes other names, of letters and digits and at most {_LONGEST_NAME} in all"
            )
        folded = unicodedata.normalize("NFKC", name).casefold()
        if (other := first.get(folded)) is not None:
            raise InputError(
                f"two models of the grid would share the folder {name!r}"
                + (f" ({other!r} on some systems)" if other != name else "")
                + "; give the values of its axes names that differ in more than punctuation and capitals"
            )
        first[folded] = name


def _shown(axis: str, value: Any) -> Any:
    """What stands in the table for a value of an axis: itself, or the name of a variant."""
    if axis != "variant":
        return value
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise InputError(f'a variant is {value!r}; give a table with a name: {{ name = "powers", model.radial = ... }}')
    return value["name"]


def _epochs(table: dict[str, Any], steps: int) -> int:
    """Epochs that take at least so many optimiser steps."""
    n_train = table["data"].get("n_train", DataSettings.n_train)
    batch = table["fit"].get("batch_size", FitSettings.batch_size)
    if not (isinstance(n_train, int) and isinstance(batch, int) and n_train > 0 and batch > 0):
        return 1  # the mistake is reported when the configuration is built
    return math.ceil(steps / math.ceil(n_train / batch))


def _set(table: dict[str, Any], axis: str, value: Any) -> None:
    section, _, key = axis.rpartition(".")
    if section in _SECTIONS and key:
        table[section][key] = value
    elif axis == "seed":
        table["seed"] = value
    else:
        raise InputError(f"axis {axis!r} is not known; write model.cutoff, data.n_train, fit.epochs or seed")


def _flat(axis: str, value: Any) -> list[tuple[str, Any]]:
    """Settings that a value of an axis gives: its own, or those of a variant; TOML makes a table of `model.radial`."""
    if axis != "variant":
        return [(axis, value)]
    name = _shown(axis, value)
    found = []
    for key, setting in value.items():
        if key == "variant":
            raise InputError(f"variant {name!r} holds another variant; list its settings themselves")
        if isinstance(setting, dict):
            found += [(f"{key}.{part}", one) for part, one in setting.items()]
        elif key != "name":
            found.append((key, setting))
    return found


def _label(axis: str, value: Any) -> str:
    key = axis.rpartition(".")[2]
    text = "".join(c if c.isalnum() or c in ".+" else "_" for c in str(value))
    return text if isinstance(value, str) else f"{key}{text}"
