"""``atomlens demo``: shipped models on shipped molecules, side by side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from atomlens.cli.output import finished
from atomlens.cli.runs import command_line
from atomlens.cli.terminal import echo


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist yet.")] = Path(
        "atomlens-demo"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that atomlens wrote.")] = False,
) -> None:
    """Explain a few molecules with two shipped models, side by side; offline, in less than a minute."""
    started = time.perf_counter()
    from atomlens.cli.compare import show_comparison
    from atomlens.cli.show import frame_progress
    from atomlens.folders import PAGE, RunFolder
    from atomlens.runs import MAIN_MODELS, MOLECULES, demo_steps, write_demo

    with RunFolder(out, overwrite) as folder, frame_progress(demo_steps()) as advance:
        done = write_demo(folder, command=command_line(), advance=advance)
    show_comparison(done.main)
    echo(
        f"{MAIN_MODELS[0]} learned from energies of relaxed molecules alone, {MAIN_MODELS[1]} from energies and forces "
        "of moving ones: see which of them has bonds as its strongest pairs."
    )
    echo(f"done in {time.perf_counter() - started:.1f} s")
    finished(out / PAGE)
    echo("\nOpen it in a browser. Then try:")
    echo("  atomlens explain 'c1ccccc1O' --out phenol    a molecule from its SMILES string")
    echo(f"  atomlens explain best_model {out / MOLECULES} --out mine    your own model on these molecules")
    echo("  atomlens zoo list    all shipped models")
