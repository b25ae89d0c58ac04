"""What a study reads: checked before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atomlens.data import Dataset, Keys, Units, read_dataset
from atomlens.dynamics import MDOptions, foreseen
from atomlens.folders import build
from atomlens.structures import InputError, check_molecule, read_structures
from atomlens.training import DataSettings, TrainConfig

if TYPE_CHECKING:
    from atomlens.studies.grid import Member
    from atomlens.studies.plan import StudyConfig


def check_inputs(config: StudyConfig, members: tuple[Member, ...], home: Path) -> None:
    """Read the frames that are analysed and simulated, and see that every model has structures to be tested on.

    Raises
    ------
    InputError
        If a frame is missing, a simulation would start from a periodic structure, data cannot be read, or no test
        structures remain.
    """
    analysis, simulation = config.analysis, config.simulation
    _frames("analysis", home / analysis.path, analysis.frames)
    start = _frames("simulation", home / simulation.path, str(simulation.frame))[0]
    check_molecule(start, "md")
    if simulation.reference:
        _frames("simulation", home / simulation.reference, ":")
    read: dict[Any, Dataset] = {}
    for member in members:
        _check_tests(member.name, build(TrainConfig, member.config).data, read)


def simulation_warnings(config: StudyConfig, options: MDOptions, home: Path) -> list[str]:
    """What keeps simulations of a study from saying anything of its models, one sentence each."""
    start = _frames("simulation", home / config.simulation.path, str(config.simulation.frame))[0]
    return foreseen(options, start)


def _frames(section: str, path: Path, frames: str) -> list[Any]:
    try:
        return read_structures(path, frames)
    except InputError as error:
        raise InputError(f"[{section}] {error}") from error


def _check_tests(name: str, data: DataSettings, read: dict[Any, Dataset]) -> None:
    """Errors of a model come from its test structures: those of the split, or of `test_path`."""
    for path in (data.path, data.test_path):
        if path and not Path(path).exists():
            raise InputError(f"model {name}: its data, {path}, do not exist; paths start from the study's own folder")
    if data.test_path or (data.n_test or 0) > 0:
        return
    if data.n_test is not None:
        raise InputError(
            f"model {name}: n_test = {data.n_test} and no test_path, so it would have no errors; give either"
        )
    if data.set != "file":
        return
    units, keys = (data.energy_unit, data.length_unit, data.force_unit), (data.energy_key, data.forces_key)
    if (data.path, units, keys) not in read:
        read[data.path, units, keys] = read_dataset(data.path, Units(*units), Keys(*keys))
    dataset = read[data.path, units, keys]
    what, n = "structures", len(dataset)
    if data.groups:
        if not dataset.has(data.groups):
            return  # the training names it
        groups = np.asarray(dataset.column(data.groups).values)
        what, n = "groups", len(np.unique(groups[groups >= 0]))
    if data.n_train + data.n_val >= n:
        raise InputError(
            f"model {name}: n_train = {data.n_train} and n_val = {data.n_val} leave none of the {n} {what} to test "
            f"on; take fewer, or give a test_path"
        )
