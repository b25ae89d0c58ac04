"""What a study consists of: a training configuration, axes along which it varies, analyses and simulations."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from atomlens.analyses import CUTOFF_ZONE, NEAREST
from atomlens.folders import build, read_toml
from atomlens.recording import DEFAULT_PRODUCT_RULE, check_product_rule
from atomlens.structures import InputError, frame_index
from atomlens.training import DataSettings, FitSettings, TrainConfig

# Sections of a training configuration; `seed` stands outside of them.
_SECTIONS = ("data", "model", "fit")
_PATHS = ("path", "test_path")
# Models of one study, and bytes of a model's name.
_MOST_MODELS, _LONGEST_NAME = 10_000, 200


@dataclass(frozen=True)
class AnalysisSettings:
    """What the analyses look at.

    Attributes
    ----------
    path, frames
        Structures, and which of them.
    trained_range
        Largest distance in Å between atoms of the training structures; that of the structures if 0.
    nearest, farthest
        Range of pair distances in Å over which the decay of all models is judged; 0 and 0 for the widest range that
        the shortest cutoff of the grid allows.
    s66x8
        COMP6's file of S66x8, to compare dimer curves with; none if empty.
    product_rule
        How products of two signals are explained. If empty: as in the run that goes on; ``full`` in a new one.
    """

    path: str
    frames: str = ":"
    trained_range: float = 0.0
    nearest: float = 0.0
    farthest: float = 0.0
    s66x8: str = ""
    product_rule: str = ""

    def __post_init__(self) -> None:
        frame_index(self.frames)
        if self.product_rule:
            check_product_rule(self.product_rule)
        if (self.nearest, self.farthest) != (0.0, 0.0) and not 0 < self.nearest < self.farthest:
            raise ValueError(
                f"nearest = {self.nearest:g}, farthest = {self.farthest:g}; give two lengths above 0, the smaller "
                "first, or neither"
            )

    @property
    def distances(self) -> tuple[float, float] | None:
        """The range in Å; None where every model is judged over its own, as none is common to all."""
        return (self.nearest, self.farthest) if self.farthest else None


@dataclass(frozen=True)
class SimulationSettings:
    """How every model is simulated; see `atomlens.dynamics.options.MDOptions`.

    Attributes
    ----------
    path, frame
        Where replicas start.
    reference
        Trajectory for bond lengths and distances; none if empty.
    time
        In ps.
    """

    path: str
    frame: int = 0
    reference: str = ""
    ensemble: str = "langevin"
    temperature: float = 500.0
    timestep: float = 0.5
    time: float = 10.0
    replicas: int = 16
    interval: int = 20
    friction: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("temperature", "timestep", "time", "replicas", "interval"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}; it must be positive")
        if self.frame < 0:
            raise ValueError(f"frame = {self.frame}; give the number of a frame, counted from 0")


@dataclass(frozen=True)
class StudyConfig:
    """A study.

    Attributes
    ----------
    name
        Its name.
    data, model, fit
        Sections of a training configuration that all models share.
    grid
        Axes: from a setting (``model.cutoff``, ``data.n_train``, ``seed``) to its values; models are all combinations.
        Values of the axis ``variant`` are tables: a ``name``, and the settings that make it.
    analysis, simulation
        What is asked of each.
    half
        Keep half of the combinations only: those whose places on their axes add up to an even number, seeds apart.
        With axes of two values that is the half fraction of a factorial design (Box, Hunter and Hunter, Statistics
        for Experimenters, chapter 6): all pairs of settings are equally frequent.
    steps
        Optimiser steps of every model, whatever its number of training structures; epochs follow. 0: epochs as given.
    """

    # Plain dictionaries: their keys are checked model by model, as a training configuration.
    name: str
    data: dict
    grid: dict
    analysis: AnalysisSettings
    simulation: SimulationSettings
    model: dict = field(default_factory=dict)
    fit: dict = field(default_factory=dict)
    half: bool = False
    steps: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"steps = {self.steps}; give a positive number, or 0 for epochs as given")


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
        """The configuration as TOML; JSON's strings, numbers, booleans and lists are TOML's."""
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.config.items() if not isinstance(value, dict)]
        for section in _SECTIONS:
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in self.config[section].items()]
        return "\n".join(lines) + "\n"


def read_study(path: str | Path) -> tuple[StudyConfig, tuple[Member, ...]]:
    """Read and check a study and all of its models.

    Raises
    ------
    InputError
        If the file is no TOML, a setting is unknown, missing or of the wrong kind, an axis is empty or unknown, or a
        file that it names does not exist.
    """
    path = Path(path)
    try:
        config = build(StudyConfig, read_toml(path))
        members = _members(config, path.parent.resolve())
        config = _with_one_range(config, members)
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from error
    for name in (config.analysis.path, config.analysis.s66x8, config.simulation.path, config.simulation.reference):
        if name and not (path.parent / name).exists():
            raise InputError(f"{path}: {name} does not exist; paths are taken from the study's own folder")
    return config, members


def _members(config: StudyConfig, home: Path) -> tuple[Member, ...]:
    if not config.grid:
        raise InputError("the grid is empty; give at least one axis, for example seed = [1, 2]")
    for axis, values in config.grid.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"axis {axis!r}: give a list of at least one value, received {values!r}")
    if (size := math.prod(map(len, config.grid.values()))) > _MOST_MODELS:
        raise InputError(f"the grid has {size} models; up to {_MOST_MODELS} can be studied, take values off its axes")
    members = []
    for places in product(*(range(len(values)) for values in config.grid.values())):
        if config.half and sum(k for axis, k in zip(config.grid, places, strict=True) if axis != "seed") % 2:
            continue
        values = [config.grid[axis][k] for axis, k in zip(config.grid, places, strict=True)]
        axes = {axis: _shown(axis, value) for axis, value in zip(config.grid, values, strict=True)}
        table: dict[str, Any] = {"name": "", "seed": 0, **{s: dict(getattr(config, s)) for s in _SECTIONS}}
        for axis, value in zip(config.grid, values, strict=True):
            _set(table, axis, value)
        if config.steps:
            table["fit"]["epochs"] = _epochs(table, config.steps)
        for key in _PATHS:
            if table["data"].get(key):
                table["data"][key] = str((home / table["data"][key]).resolve())
        name = "-".join(_label(axis, value) for axis, value in axes.items())
        table["name"] = f"{config.name}-{name}"
        build(TrainConfig, table)  # report a mistake before anything is trained
        members.append(Member(name, axes, table))
    first: dict[str, str] = {}
    for member in members:
        same = json.dumps({**member.config, "name": ""}, sort_keys=True)
        if other := first.get(same):
            raise InputError(f"the grid names a model twice, as {other} and as {member.name}; take one off its axis")
        first[same] = member.name
    _check_names([member.name for member in members])
    return tuple(members)


def _with_one_range(config: StudyConfig, members: tuple[Member, ...]) -> StudyConfig:
    """The study with the range of distances that all of its models have, where none is given.

    Raises
    ------
    InputError
        If the given range ends beyond where a cutoff of the grid bends all terms.
    """
    models = [build(TrainConfig, member.config).model for member in members]
    ends = [model.cutoff - CUTOFF_ZONE for model in models if model.long_range == "none"]
    analysis = config.analysis
    if analysis.distances is not None:
        if ends and analysis.farthest > min(ends):
            raise InputError(
                f"farthest = {analysis.farthest:g}: the shortest cutoff of the grid bends all terms from "
                f"{min(ends):g} Å on; end the range there or earlier"
            )
        return config
    if not ends or min(ends) <= NEAREST:
        return config
    return replace(config, analysis=replace(analysis, nearest=NEAREST, farthest=min(ends)))


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
    if axis == "variant":
        for name, setting in _flat(value):
            _set(table, name, setting)
        return
    if section in _SECTIONS and key:
        table[section][key] = value
    elif axis == "seed":
        table["seed"] = value
    else:
        raise InputError(f"axis {axis!r} is not known; write model.cutoff, data.n_train, fit.epochs or seed")


def _flat(variant: dict[str, Any]) -> list[tuple[str, Any]]:
    """Settings of a variant as axes; TOML makes a table of `model.radial`."""
    found = []
    for name, setting in variant.items():
        if isinstance(setting, dict):
            found += [(f"{name}.{key}", value) for key, value in setting.items()]
        elif name != "name":
            found.append((name, setting))
    return found


def _label(axis: str, value: Any) -> str:
    key = axis.rpartition(".")[2]
    text = "".join(c if c.isalnum() or c in ".+" else "_" for c in str(value))
    return text if isinstance(value, str) else f"{key}{text}"


# Studies from before there was a default to choose say nothing of their product rule, which was this one.
_UNSAID = "scalar"


def with_product_rule(config: StudyConfig, started: Mapping[str, Any]) -> StudyConfig:
    """The study with its product rule: where none is given, that of the run that goes on.

    Parameters
    ----------
    config
        The study.
    started
        `settings_of` the run in its folder; empty for a new one.
    """
    if config.analysis.product_rule:
        return config
    own = started["analysis"].get("product_rule", _UNSAID) if "analysis" in started else DEFAULT_PRODUCT_RULE
    return replace(config, analysis=replace(config.analysis, product_rule=own))


def settings_of(config: StudyConfig) -> dict[str, Any]:
    """Everything but its model that decides a row."""
    analysis = {**vars(config.analysis)}
    if analysis["product_rule"] == _UNSAID:
        del analysis["product_rule"]
    return {"analysis": analysis, "simulation": vars(config.simulation)}
