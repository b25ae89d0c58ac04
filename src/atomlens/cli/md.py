"""``atomlens md``: from a model and a structure to how long it lasts in molecular dynamics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomlens.cli.options import DeviceName, OverwriteRun, Precision, Trust, UnitName, whole_number
from atomlens.cli.output import finished
from atomlens.cli.runs import command_line, resumable
from atomlens.cli.terminal import echo
from atomlens.folders import PAGE

if TYPE_CHECKING:
    from atomlens.dynamics import Report

EPILOG = """
[b]Examples[/b]

Sixteen replicas of ethanol for 10 ps at 500 K:

    atomlens md zoo:rmd17-ethanol-painn ethanol.xyz --out md

Energy conservation, and distances against a reference trajectory:

    atomlens md model.safetensors ethanol.xyz --ensemble nve --temperature 300 --reference dft.xyz --out nve

A model of another library (its files run code when they are opened, so they need --trust):

    atomlens md sevenn:7net-0 ethanol.xyz --out sevennet
    atomlens md ethanol.model ethanol.xyz --trust --out mace

After a kill, or Ctrl-C, the same command resumes; nothing is lost.

[b]Written to --out[/b]

report.html (survival, what gave way, the frames before), summary.json, failure.parquet, and trajectory/ with
observables.parquet and frames-*.npz (positions and velocities of all replicas, readable while it runs).
"""


def md(
    model: Annotated[str, typer.Argument(help="Model file, zoo:NAME (see atomlens zoo), or sevenn:7net-0.")],
    structure: Annotated[
        str, typer.Argument(help="Where replicas start: an open molecule, in a file that ASE reads or as SMILES.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; an unfinished run in it is resumed.")],
    ensemble: Annotated[str, typer.Option(help="langevin, nose-hoover (one chain per replica), or nve.")] = "langevin",
    temperature: Annotated[float, typer.Option(help="In K.")] = 500.0,
    timestep: Annotated[float, typer.Option(help="In fs.")] = 0.5,
    time: Annotated[float, typer.Option(help="Simulated time in ps.")] = 10.0,
    replicas: Annotated[
        int, typer.Option(parser=whole_number(1, 100_000), metavar="COUNT", help="Copies with velocities of their own.")
    ] = 16,
    interval: Annotated[
        int, typer.Option(parser=whole_number(1, 1_000_000), metavar="STEPS", help="Steps between recorded frames.")
    ] = 20,
    friction: Annotated[float, typer.Option(help="Of Langevin dynamics, 1/ps.")] = 10.0,
    seed: Annotated[
        int, typer.Option(parser=whole_number(0, 2**31 - 1), metavar="NUMBER", help="Of velocities and noise.")
    ] = 0,
    reference: Annotated[
        Path | None, typer.Option(help="Reference trajectory of the same molecule: bond lengths, distances.")
    ] = None,
    frame: Annotated[str, typer.Option(help="Which frame of STRUCTURE to start from, counted from 0.")] = "0",
    dtype: Annotated[
        Precision, typer.Option(help="Of the simulation; models of other libraries always move in float64.")
    ] = Precision.SINGLE,
    unit: UnitName = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which property, if a SchNetPack file predicts several.")
    ] = None,
    trust: Trust = False,
    device: DeviceName = None,
    overwrite: OverwriteRun = False,
) -> None:
    """Simulate replicas, report when and how each breaks, and explain what gave way."""
    from atomlens.cli.early import early_or_embedded, read_early

    early = read_early(model, structure, frame)
    import torch

    from atomlens.analyses import without_question
    from atomlens.cli.options import checked_device, checked_unit, on_device
    from atomlens.models import outside
    from atomlens.potentials import load_model
    from atomlens.structures import InputError, frame_index, install_command, read_structures

    try:
        from atomlens.dynamics import MDOptions, check_start, foreseen, replicas_needed
        from atomlens.runs import run_md
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed; run: {install_command('md')}") from error

    if isinstance(frame_index(frame), slice):
        raise InputError(f"--frame {frame}: replicas start from one frame; give its number")
    if not 0 < time < 1e6:
        raise InputError(f"--time {time:g} ps: give one above 0, below 1e6 ps")
    where = checked_device(device)
    options = MDOptions.lasting(
        time,
        timestep=timestep,
        ensemble=ensemble,
        temperature=temperature,
        n_replicas=replicas,
        interval=interval,
        friction=friction,
        seed=seed,
    )
    potential = load_model(model, dtype=torch.float64, energy_unit=checked_unit(unit), output=output, trust=trust)
    potential = on_device(potential, where)
    found = early_or_embedded(early, structure, frame)
    atoms = found.structures[0]
    trajectory = None if reference is None else read_structures(reference)
    check_start(potential, atoms, trajectory)
    echo(replicas_needed(replicas), err=True)
    early_warnings = foreseen(options, atoms)
    for warning in early_warnings:
        echo(f"warning: {warning}", err=True)
    with resumable(out), _simulation_progress() as report:
        run = run_md(
            potential,
            model,
            atoms,
            structure,
            out,
            options,
            dtype=dtype.value,
            reference=trajectory,
            report=report,
            command=command_line(),
            overwrite=overwrite,
        )
    if early is not None:
        echo(f"start: {structure}, frame {found.numbers[0]} ({found} read)")
    for sentence in outside(potential.facts, atoms):
        echo(f"outside of what the model was trained on: {sentence}")
    for warning in run.warnings[len(early_warnings) :]:
        echo(f"warning: {warning}")
    for finding in run.verdict.findings:
        echo(f"{finding.outcome.value}: {without_question(finding.sentence)}")
    finished(run.folder / PAGE)


@contextmanager
def _simulation_progress() -> Iterator[Report]:
    from atomlens.cli.progress import progress_bars

    with progress_bars() as bars:
        task = bars.add_task("simulating", total=None)

        def report(frame: int, total: int, running: int, ns_per_day: float) -> None:
            text = f"{running} replicas running, {ns_per_day:.2g} ns/day"
            bars.update(task, completed=frame, total=total, description=text)

        yield report
