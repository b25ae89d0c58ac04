"""``atomlens train``: from a configuration to a model and its card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atomlens.cli.options import DeviceName
from atomlens.cli.runs import command_line
from atomlens.cli.terminal import echo

EPILOG = """
[b]Examples[/b]

    atomlens train configs/rmd17-ethanol-painn.toml --out runs/ethanol

Continue after a kill, or where --hours stopped it; nothing is lost or repeated:

    atomlens train configs/rmd17-ethanol-painn.toml --out runs/ethanol --resume

[b]Written to --out[/b]

model.safetensors, card.json, metrics.csv, tensorboard/, split.json, checkpoint.pt.
"""


def train(
    config: Annotated[Path, typer.Argument(help="TOML file that says which data, model and optimisation.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    device: DeviceName = None,
    hours: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after the epoch in which this time has passed.")
    ] = None,
) -> None:
    """Train a model, test it, and write its card; errors are printed with their units."""
    from atomlens.cli.options import checked_device
    from atomlens.training import train as run

    where = checked_device(device)
    try:
        run(
            config,
            out,
            resume=resume,
            max_hours=hours,
            report=lambda line: echo(line),
            command=command_line(),
            device=where,
        )
    except KeyboardInterrupt:
        echo("atomlens: interrupted; continue after the last whole epoch with --resume", err=True)
        sys.exit(130)
    echo(f"model: {out / 'model.safetensors'}")
