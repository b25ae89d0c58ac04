"""``atomlens response``: response couplings of any calculator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomlens.cli.options import Trust, UnitName, checked_unit, positive
from atomlens.cli.output import finished
from atomlens.cli.runs import command_line
from atomlens.cli.terminal import echo

if TYPE_CHECKING:
    import ase

    from atomlens.cli.calculators import Responder
    from atomlens.runs import CouplingFrame

# Derivatives of fewer atoms than this are taken on one thread: on a busy machine threads wait for each other.
_FEW_ATOMS = 64

EPILOG = """
[b]Examples[/b]

A shipped model, and GFN2-xTB on the same molecule (needs the extra xtb):

    atomlens response zoo:qm9-u0-painn ethanol.xyz --out painn
    atomlens response gfn2 ethanol.xyz --out xtb

A radical (of a SMILES string, unpaired electrons are counted by themselves):

    atomlens response gfn2 methyl.xyz --kwargs '{"uhf": 1}' --out methyl

Any ASE calculator by import path, with arguments:

    atomlens response ase.calculators.lj:LennardJones argon.xyz --kwargs '{"epsilon": 0.0104, "sigma": 3.4}' --out lj

[b]Import paths run code[/b]

package.module:NAME is imported, from the current folder too, and called if it is a class or a function. Modules outside
of the installed packages need --trust; model files of atomlens and SchNetPack, in contrast, are never executed.

[b]Written to --out[/b]

report.html, couplings.parquet (one row per pair), couplings.png (coupling against distance), summary.json
(diagnostics).
"""


def response(
    calculator: Annotated[
        str,
        typer.Argument(help="Model file, zoo:NAME, gfn2, or import path package.module:NAME (runs the code it names)."),
    ],
    structures: Annotated[str, typer.Argument(help="Structures, in any format that ASE reads.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist yet.")],
    kwargs: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Arguments of an import path, or charge and uhf of gfn2, as a JSON object."),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(parser=positive, metavar="NUMBER", help="Displacement in Å, for import paths. \\[default: 0.01]"),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which property, if a SchNetPack file predicts several.")
    ] = None,
    frames: Annotated[str, typer.Option(help="Which frames, as in Python: 0, -1, :10, ::5.")] = ":",
    unit: UnitName = None,
    trust: Trust = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that atomlens wrote.")] = False,
) -> None:
    """How strongly the force on one atom responds to another: norms of 3x3 Hessian blocks against distance."""
    from atomlens.cli.early import early_or_embedded, read_early
    from atomlens.models import is_zoo_name

    is_model = is_zoo_name(calculator) or Path(calculator).is_file()
    early = read_early(calculator, structures, frames) if is_model else None
    from atomlens.cli.calculators import responder
    from atomlens.folders import PAGE, RunFolder
    from atomlens.runs import CouplingSource, computed, write_couplings

    with RunFolder(out, overwrite) as folder:
        how, respond = responder(calculator, kwargs, step, output, checked_unit(unit), trust)
        found = early_or_embedded(early, structures, frames)
        selected = found.structures
        options = {"kwargs": kwargs, "step": step, "output": output, "unit": unit, "frames": frames}
        command = command_line()
        source = CouplingSource(calculator, structures, how, command, options)
        with _progress(len(selected)) as advance:
            summary = write_couplings(folder, computed(_responses(selected, respond, advance)), source)
    done = [frame for frame in summary["frames"] if "unavailable" not in frame]
    echo(f"{calculator}: {how}; {len(done)} of {len(selected)} structures ({found} read)")
    for frame in summary["frames"]:
        if "unavailable" in frame:
            echo(f"frame {frame['frame']}: cannot tell ({frame['unavailable']})")
    largest = {key: max(frame[key] for frame in done) for key in ("largest", "asymmetry", "sum_rule")}
    echo(
        f"largest coupling {largest['largest']:.3g} eV/Å²; asymmetry up to {largest['asymmetry']:.1e}, "
        f"sum rule up to {largest['sum_rule']:.1e} eV/Å² (both 0 for exact derivatives)"
    )
    finished(out / PAGE)


def _responses(
    structures: list[ase.Atoms], respond: Responder, advance: Callable[[int, int, int], None]
) -> Iterator[CouplingFrame]:
    from atomlens.models import one_thread
    from atomlens.reference import ReferenceUnavailable
    from atomlens.runs import CouplingFrame
    from atomlens.structures import InputError

    for index, atoms in enumerate(structures):
        started = time.perf_counter()
        found, reason = None, ""
        try:
            with one_thread() if len(atoms) < _FEW_ATOMS else nullcontext():
                found = respond(atoms, lambda done, total, index=index: advance(index, done, total))
        except ReferenceUnavailable as error:  # the others may do better
            reason = error.reason
        except InputError as error:
            if len(structures) == 1:
                raise
            raise InputError(f"frame {index}: {error}") from error
        advance(index, 1, 1)
        yield CouplingFrame(index, atoms, found, reason, time.perf_counter() - started)


@contextmanager
def _progress(n_frames: int) -> Iterator[Callable[[int, int, int], None]]:
    """Progress on stderr over structures, moved by every row of a Hessian."""
    from rich.progress import TaskProgressColumn

    from atomlens.cli.progress import progress_bars

    with progress_bars(TaskProgressColumn()) as bars:
        task = bars.add_task("responses", total=n_frames)
        yield lambda index, done, total: bars.update(task, completed=index + done / total)
