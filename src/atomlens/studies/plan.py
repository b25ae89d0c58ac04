"""What a study consists of: a training configuration, axes along which it varies, analyses and simulations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from atomlens.analyses import CUTOFF_ZONE, NEAREST
from atomlens.dynamics import MDOptions
from atomlens.folders import build, read_toml
from atomlens.recording import DEFAULT_PRODUCT_RULE, check_product_rule
from atomlens.structures import InputError, frame_index
from atomlens.studies.grid import Member, members_of
from atomlens.studies.inputs import check_inputs
from atomlens.training import TrainConfig

_LARGEST_SEED = 2**31 - 1


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
        if not 0 <= self.trained_range < math.inf:
            raise ValueError(
                f"trained_range = {self.trained_range:g} Å; give a length, or 0 for that of the structures"
            )
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
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise ValueError(f"seed = {self.seed}; give a number from 0 to {_LARGEST_SEED}")
        try:
            md_options(self)
        except InputError as error:
            raise ValueError(str(error)) from error  # which gets the name of the section


def md_options(simulation: SimulationSettings) -> MDOptions:
    """The simulation's settings as `MDOptions`."""
    names = ("ensemble", "temperature", "timestep", "time", "interval", "friction", "seed")
    return MDOptions.lasting(**{name: getattr(simulation, name) for name in names}, n_replicas=simulation.replicas)


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


def read_study(path: str | Path) -> tuple[StudyConfig, tuple[Member, ...]]:
    """Read and check a study and all of its models.

    Raises
    ------
    InputError
        If the file is no TOML, a setting is unknown, missing or of the wrong kind, an axis is empty or unknown, a file
        that it names does not exist or lacks the frames that are asked for, or a model would have nothing to be tested
        on.
    """
    path = Path(path)
    try:
        config = build(StudyConfig, read_toml(path))
        members = members_of(config, path.parent.resolve())
        config = _with_one_range(config, members)
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from error
    for name in (config.analysis.path, config.analysis.s66x8, config.simulation.path, config.simulation.reference):
        if name and not (path.parent / name).exists():
            raise InputError(f"{path}: {name} does not exist; paths are taken from the study's own folder")
    try:
        check_inputs(config, members, path.parent.resolve())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return config, members


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
