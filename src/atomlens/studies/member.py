"""One model of a study, stage by stage: train, analyse, score, simulate; what is done is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from atomlens.analyses import DecayResult, SpeciesResult, chosen_questions, deviation_score
from atomlens.data import shown
from atomlens.dynamics import MDOptions
from atomlens.folders import MARK, load_result, to_plain, write_text
from atomlens.potentials import load_potential
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.runs import AnalysisOptions, run_analysis, run_md
from atomlens.structures import read_structures
from atomlens.studies.plan import AnalysisSettings, Member, SimulationSettings
from atomlens.studies.rivals import roughness, size_error
from atomlens.training import ERRORS, load_errors, train

ROW, CONFIG = "row.json", "config.toml"


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
    """
    finished = folder / ROW
    if finished.is_file():
        return json.loads(finished.read_text("utf-8"))
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train" / "model.safetensors"
    if not (path.is_file() and (folder / "train" / ERRORS).is_file()):
        report(f"{member.name}: train")
        write_text(folder / CONFIG, member.toml())
        train(folder / CONFIG, folder / "train", resume=True, report=lambda line: None, device=device)
    card = json.loads((folder / "train" / "card.json").read_text("utf-8"))
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

    start = read_structures(home / simulation.path, str(simulation.frame))[0]
    if not (folder / "md" / MARK).is_file():
        report(f"{member.name}: simulate")
        reference = read_structures(home / simulation.reference) if simulation.reference else None
        run_md(model, str(path), start, simulation.path, folder / "md", md_options(simulation), reference=reference)
    md = json.loads((folder / "md" / MARK).read_text("utf-8"))

    errors = next(iter(load_errors(folder / "train" / ERRORS).values()))
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
        "roughness": roughness(model, start),
        "size_error": size_error(model, start, structures[-1]),
        "sound_time_ps": restricted_mean(md["fates"], simulation.time),
        "n_broken": sum(fate["broke_by"] is not None for fate in md["fates"]),
        "n_replicas": len(md["fates"]),
        "training_hours": card["hours"],
    }
    write_text(finished, json.dumps(to_plain(row), indent=1) + "\n")
    return to_plain(row)


def md_options(simulation: SimulationSettings) -> MDOptions:
    """The simulation's settings as `MDOptions`."""
    names = ("ensemble", "temperature", "timestep", "time", "interval", "friction", "seed")
    return MDOptions.lasting(**{name: getattr(simulation, name) for name in names}, n_replicas=simulation.replicas)


def restricted_mean(fates: list[dict[str, Any]], limit: float) -> float:
    """Mean sound time of the replicas up to `limit`, in ps; sound ones count with the limit."""
    return sum(min(fate["time_ps"], limit) for fate in fates) / len(fates)
