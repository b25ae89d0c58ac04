"""``atomlens study``: a grid of models, from training to one table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atomlens.cli.options import DeviceName, OverwriteRun, whole_number
from atomlens.cli.output import finished
from atomlens.cli.runs import command_line, resumable
from atomlens.cli.terminal import echo
from atomlens.folders import PAGE

EPILOG = """
[b]Examples[/b]

    atomlens data xtb examples/ethanol.xyz --frames 120 --interval 20 --burn-in 400 --seed 1 --out runs/xtb-ethanol
    atomlens study configs/studies/small.toml --out runs/small

Two models at a time; after a kill, the same command resumes:

    atomlens study configs/studies/water.toml --workers 2 --out runs/water

[b]Written to --out[/b]

report.html, models.parquet and models.csv (one row per model), summary.json, and models/*/ with the training, analysis
and simulation of every model.
"""


def study(
    config: Annotated[Path, typer.Argument(help="TOML file: data, model, fit, grid, analysis, simulation.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; an unfinished study in it is resumed.")],
    workers: Annotated[
        int, typer.Option(parser=whole_number(1, 1024), metavar="COUNT", help="Worker processes on this machine.")
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to use, for example tcp://host:8786.")
    ] = None,
    device: DeviceName = None,
    overwrite: OverwriteRun = False,
) -> None:
    """Train a grid of models, score them, simulate them, and report what predicts how long simulations last."""
    from atomlens.cli.options import checked_device
    from atomlens.structures import InputError, install_command

    where = checked_device(device)
    try:
        from atomlens.studies import run_study, sentence

        with resumable(out):
            found = run_study(
                config,
                out,
                n_workers=workers,
                scheduler=scheduler,
                report=lambda line: echo(line, err=True),
                command=command_line(),
                overwrite=overwrite,
                device=where,
            )
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed; a study needs more: {install_command('train', 'md', 'xtb', 'dask')}"
        ) from error
    echo(sentence(found.associations))
    finished(found.folder / PAGE)
    if found.failed:
        echo(f"atomlens: {len(found.failed)} models failed; the page and summary.json say why", err=True)
        sys.exit(1)
