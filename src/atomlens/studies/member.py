"""One model of a study, stage by stage: train, analyse, score, simulate; what is done is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from atomlens.analyses import DecayResult, SpeciesResult, chosen_questions, deviation_score
from atomlens.data import shown
from atomlens.folders import MARK, load_result, read_json, reading, to_plain, write_text
from atomlens.potentials import load_potential
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.runs import AnalysisOptions, run_analysis, run_md
from atomlens.structures import InputError, check_molecule, read_structures
from atomlens.studies.grid import Member
from atomlens.studies.plan import AnalysisSettings, SimulationSettings, md_options
from atomlens.studies.rivals import exit_barrier, roughness, size_error, smoothness
from atomlens.studies.stages import ROW
from atomlens.training import ERRORS, load_errors, train

CONFIG = "config.toml"
_AGAIN = "delete it, then the same command makes it again"
_TRAIN_AGAIN = "delete the folder that it is in, then the same command trains again"
# What every row has besides the scores of its model.
_MEASURED = ("deviation", "range_low", "range_high", "sound_time_ps", "n_broken", "n_replicas", "training_hours")


def run_member(
    member: Member,
    folder: Path,
    home: Path,
    analysis: AnalysisSettings,
    simulation: SimulationSettings,
    report: Callable[[str], None] = lambda line: None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Take one model through all stages and return its row of the study's table.

    Parameters
    ----------
    member
        The model.
    folder
        Where its stages keep their results.
    home
        Folder that paths of `analysis` and `simulation` start from.
    analysis, simulation
        What is asked of it.
    report
        Called with each stage.
    device
        Where it is trained, explained and simulated.

    Raises
    ------
    InputError
        If a file cannot be used, or replicas would start from a periodic structure.
    """
    finished = folder / ROW
    if finished.exists():
        with reading(finished, _AGAIN):
            return _checked_row(read_json(finished), member)
    start = read_structures(home / simulation.path, str(simulation.frame))[0]
    check_molecule(start, "md")  # before hours of training
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train" / "model.safetensors"
    if not (path.is_file() and (folder / "train" / ERRORS).is_file()):
        report(f"{member.name}: train")
        write_text(folder / CONFIG, member.toml())
        train(folder / CONFIG, folder / "train", resume=True, report=lambda line: None, device=device)
    with reading(folder / "train" / "card.json", _TRAIN_AGAIN):
        hours = float(read_json(folder / "train" / "card.json")["hours"])
    with reading(folder / "train" / ERRORS, _TRAIN_AGAIN):
        tested = load_errors(folder / "train" / ERRORS)
    if not tested:
        raise InputError(f"{folder / 'train' / ERRORS}: the model was tested on no structure, so it has no errors")
    errors = next(iter(tested.values()))
    model = load_potential(path, dtype=torch.float64).converted(torch.float64, device)

    structures = read_structures(home / analysis.path, analysis.frames)
    if not (folder / "analysis" / MARK).is_file():
        report(f"{member.name}: analyse")
        options = AnalysisOptions(
            chosen_questions("species,decay"),
            product_rule=analysis.product_rule or DEFAULT_PRODUCT_RULE,
            max_order=2,
            trained_range=analysis.trained_range or None,
            distances=analysis.distances,
            s66x8=home / analysis.s66x8 if analysis.s66x8 else None,
        )
        run_analysis(model, str(path), structures, analysis.path, folder / "analysis", options)
    questions = folder / "analysis" / "questions"
    species, decay = load_result(SpeciesResult, questions / "species"), load_result(DecayResult, questions / "decay")
    score = deviation_score(species.scores, decay.scores)

    if not (folder / "md" / MARK).is_file():
        report(f"{member.name}: simulate")
        reference = read_structures(home / simulation.reference) if simulation.reference else None
        run_md(model, str(path), start, simulation.path, folder / "md", md_options(simulation), reference=reference)
    with reading(folder / "md" / MARK, "delete the folder that it is in, then the same command simulates again"):
        fates = read_json(folder / "md" / MARK)["fates"]
        sound = restricted_mean(fates, simulation.time)
        broken = sum(fate["broke_by"] is not None for fate in fates)
    row = {
        "model": member.name,
        **member.axes,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "force_error": None if errors.force_mae is None else shown(errors.force_mae, f"{errors.unit}/Å")[0],
        "energy_error": shown(errors.mae, errors.unit)[0],
        "range_low": decay.range.low,
        "range_high": decay.range.high,
        "deviation": score.value,
        **{f"deviation/{name}": value for name, value in score.parts.items()},
        **{f"score/decay/{name}": found.effect.value for name, found in decay.scores.items()},
        "exit_barrier": exit_barrier(model, start, simulation.temperature),
        "smoothness": smoothness(model, start),
        "roughness": roughness(model, start),
        "size_error": size_error(model, start, structures[-1]),
        "sound_time_ps": sound,
        "n_broken": broken,
        "n_replicas": len(fates),
        "training_hours": hours,
    }
    write_text(finished, json.dumps(to_plain(row), indent=1) + "\n")
    return to_plain(row)


def _checked_row(row: dict[str, Any], member: Member) -> dict[str, Any]:
    """The row of a model that was finished earlier: its name, its place on the axes, and numbers.

    Raises
    ------
    ValueError
        If it is not.
    """
    place = to_plain({"model": member.name, **member.axes})
    if {key: row.get(key) for key in place} != place:
        raise ValueError(f"it is the row of another model than {member.name}")
    numbers = [row[key] for key in row if key not in place] + [row[key] for key in _MEASURED]
    if not all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in numbers):
        raise ValueError("it has something else where numbers belong")
    return row


def restricted_mean(fates: list[dict[str, Any]], limit: float) -> float:
    """Mean sound time of the replicas up to `limit`, in ps; sound ones count with the limit."""
    return sum(min(fate["time_ps"], limit) for fate in fates) / len(fates)
