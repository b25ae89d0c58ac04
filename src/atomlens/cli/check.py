"""``atomlens check``: what keeps a molecule whole, without dynamics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from atomlens.cli.options import Trust, UnitName, positive
from atomlens.cli.output import finished
from atomlens.cli.runs import command_line
from atomlens.cli.terminal import echo
from atomlens.folders import PAGE

EPILOG = """
[b]Examples[/b]

The lowest ways out of ethanol in a shipped model, and the walls between its elements:

    atomlens check zoo:rmd17-ethanol-painn ethanol.xyz --out check

Any ASE calculator by import path, which runs the code that it names:

    atomlens check tblite.ase:TBLite ethanol.xyz --kwargs '{"method": "GFN2-xTB", "verbosity": 0}' --out xtb

[b]What it says[/b]

Whether a simulation at --temperature holds, is at risk, or breaks within 5 ps, told from all ways out together; then
what the model's energy asks for on each, in eV and in kT, beside GFN2-xTB at the same geometry. Nothing is known of
longer times: use atomlens md.

[b]Written to --out[/b]

report.html, exits.parquet, walls.parquet, check.svg, summary.json.
"""


def check(
    model: Annotated[
        str,
        typer.Argument(help="Model file, zoo:NAME, sevenn:7net-0, or import path package.module:NAME (runs its code)."),
    ],
    structure: Annotated[str, typer.Argument(help="One molecule: a file that ASE reads, or SMILES.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    temperature: Annotated[
        float, typer.Option(parser=positive, metavar="NUMBER", help="In K, of the simulation that is asked about.")
    ] = 500.0,
    frame: Annotated[str, typer.Option(help="Which frame of STRUCTURE, counted from 0.")] = "0",
    kwargs: Annotated[
        str | None, typer.Option(metavar="JSON", help="Arguments of an import path, as a JSON object.")
    ] = None,
    unit: UnitName = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which property, if a SchNetPack file predicts several.")
    ] = None,
    trust: Trust = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that atomlens wrote.")] = False,
) -> None:
    """Will dynamics hold? The energy of every way to break a molecule, and walls between atoms, without dynamics."""
    from atomlens.cli.calculators import open_model
    from atomlens.cli.early import early_or_embedded, read_early
    from atomlens.potentials import is_import_path

    early = None if is_import_path(model) else read_early(model, structure, frame)
    from atomlens.cli.options import checked_unit
    from atomlens.models import outside
    from atomlens.report import in_eV, in_kT
    from atomlens.runs import run_check
    from atomlens.structures import InputError, frame_index

    if isinstance(frame_index(frame), slice):
        raise InputError(f"--frame {frame}: one molecule is checked; give its number")
    potential = open_model(model, kwargs, None, output, checked_unit(unit), trust)
    found = early_or_embedded(early, structure, frame)
    with _progress() as progress:
        run = run_check(
            potential,
            model,
            found.structures[0],
            structure,
            out,
            temperature=temperature,
            progress=progress,
            command=command_line(),
            overwrite=overwrite,
        )
    for row in run.exits.head(8).iter_rows(named=True):
        other = "" if row["reference_eV"] is None else f"   GFN2 {in_eV(row['reference_eV'])}"
        echo(f"{row['name']:<24} {in_eV(row['energy_eV']):>16} {in_kT(row['kT']):>18}{other}")
    for sentence in outside(potential.facts, found.structures[0]):
        echo(f"outside of what the model was trained on: {sentence}")
    for finding in run.verdict.findings:
        echo(finding.sentence)
    finished(run.folder / PAGE)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    from rich.progress import TaskProgressColumn

    from atomlens.cli.progress import progress_bars

    with progress_bars(TaskProgressColumn()) as bars:
        task = bars.add_task("ways out", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
