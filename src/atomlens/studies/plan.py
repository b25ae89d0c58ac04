"""What a study consists of: a training configuration, axes along which it varies, analyses and simulations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from atomlens.structures import InputError
from atomlens.training.config import TrainConfig
from atomlens.training.settings import build, read_toml

# Sections of a training configuration; `seed` stands outside of them.
_SECTIONS = ("data", "model", "fit")
_PATHS = ("path", "test_path")


@dataclass(frozen=True)
class AnalysisSettings:
    """What the analyses look at.

    Attributes
    ----------
    path, frames
        Structures, and which of them.
    """

    path: str
    frames: str = ":"


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
    analysis, simulation
        What is asked of each.
    """

    # Plain dictionaries: their keys are checked model by model, as a training configuration.
    name: str
    data: dict
    grid: dict
    analysis: AnalysisSettings
    simulation: SimulationSettings
    model: dict = field(default_factory=dict)
    fit: dict = field(default_factory=dict)


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
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from error
    for name in (config.analysis.path, config.simulation.path, config.simulation.reference):
        if name and not (path.parent / name).exists():
            raise InputError(f"{path}: {name} does not exist; paths are taken from the study's own folder")
    return config, members


def _members(config: StudyConfig, home: Path) -> tuple[Member, ...]:
    if not config.grid:
        raise InputError("the grid is empty; give at least one axis, for example seed = [1, 2]")
    for axis, values in config.grid.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"axis {axis!r}: give a list of at least one value, received {values!r}")
    members = []
    for values in product(*config.grid.values()):
        axes = dict(zip(config.grid, values, strict=True))
        table: dict[str, Any] = {"name": "", "seed": 0, **{s: dict(getattr(config, s)) for s in _SECTIONS}}
        for axis, value in axes.items():
            _set(table, axis, value)
        for key in _PATHS:
            if table["data"].get(key):
                table["data"][key] = str((home / table["data"][key]).resolve())
        name = "-".join(_label(axis, value) for axis, value in axes.items())
        table["name"] = f"{config.name}-{name}"
        build(TrainConfig, table)  # a mistake is told before anything is trained
        members.append(Member(name, axes, table))
    if len({member.name for member in members}) < len(members):
        raise InputError("the grid names a model twice; take the repeated value off its axis")
    return tuple(members)


def _set(table: dict[str, Any], axis: str, value: Any) -> None:
    section, _, key = axis.rpartition(".")
    if section in _SECTIONS and key:
        table[section][key] = value
    elif axis == "seed":
        table["seed"] = value
    else:
        raise InputError(f"axis {axis!r} is not known; write model.cutoff, data.n_train, fit.epochs or seed")


def _label(axis: str, value: Any) -> str:
    key = axis.rpartition(".")[2]
    text = "".join(c if c.isalnum() or c in ".+" else "_" for c in str(value))
    return text if isinstance(value, str) else f"{key}{text}"


def settings_of(config: StudyConfig) -> Mapping[str, Any]:
    """Everything but the grid that decides a row, for its fingerprint."""
    return {"analysis": vars(config.analysis), "simulation": vars(config.simulation)}
