"""``atomlens compare``: runs of several models side by side, explanations or verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomlens.cli.output import finished
from atomlens.cli.runs import command_line
from atomlens.cli.terminal import console as clean_console

if TYPE_CHECKING:
    from atomlens.runs import VerdictComparison
    from atomlens.surveys import Comparison

EPILOG = """
[b]Examples[/b]

Explanations of the same structures, term by term:

    atomlens explain zoo:qm9-u0-painn 'CCO' --out painn
    atomlens explain zoo:qm9-u0-schnet 'CCO' --out schnet
    atomlens compare painn schnet --out both

Verdicts, claim by claim:

    atomlens analyze zoo:qm9-u0-painn qm9:200 --out painn-verdicts
    atomlens analyze zoo:qm9-u0-schnet qm9:200 --out schnet-verdicts
    atomlens compare painn-verdicts schnet-verdicts --out verdicts

[b]Written to --out[/b]

report.html, summary.json, and tables of all runs with a column for the model; of verdicts: verdicts.parquet.
"""


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders that atomlens explain wrote, or that atomlens analyze wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist yet.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that atomlens wrote.")] = False,
) -> None:
    """Put several models side by side, explanations of the same structures or verdicts: one page, one set of tables."""
    from atomlens.folders import PAGE, RunFolder
    from atomlens.runs import all_analyses, compare_verdicts, write_comparison, write_verdicts
    from atomlens.surveys import compare_runs

    command = command_line()
    with RunFolder(out, overwrite) as folder, _sound(runs):
        if all_analyses(runs):
            verdicts = compare_verdicts(runs)
            write_verdicts(folder.path, verdicts, command=command)
            show_verdict_comparison(verdicts)
        else:
            comparison = compare_runs(runs)
            write_comparison(folder.path, comparison, command=command)
            show_comparison(comparison)
    finished(out / PAGE)


@contextmanager
def _sound(runs: list[Path]) -> Iterator[None]:
    """Say that runs are damaged, whatever their summaries and tables hold in place of what was written there."""
    from polars.exceptions import PolarsError

    from atomlens.structures import InputError

    try:
        yield
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, PolarsError) as error:
        reason = (f"{type(error).__name__}: {error}").splitlines()[0][:200]
        names = ", ".join(map(str, runs))
        raise InputError(
            f"a summary.json or a table of {names} is damaged ({reason}); make these runs again"
        ) from error


def show_verdict_comparison(comparison: VerdictComparison) -> None:
    """Print the outcome of every question for every model."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from atomlens.analyses import NOT_ASKED, questions_of
    from atomlens.cli.verdicts import STYLES

    console, runs = clean_console(), comparison.runs
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("question")
    for run in runs:
        table.add_column(Text(run.name), overflow="fold")
    for question in questions_of(runs):
        outcomes = [(run.verdict(question.slug) or {}).get("outcome", NOT_ASKED) for run in runs]
        table.add_row(question.slug, *(Text(outcome, style=STYLES.get(outcome, "dim")) for outcome in outcomes))
    console.print(table)
    if comparison.differing:
        console.print(f"different structures: {comparison.differing}", soft_wrap=True)
    if comparison.ranges:
        console.print(f"different distances: {comparison.ranges}", soft_wrap=True)


def show_comparison(comparison: Comparison) -> None:
    """Print predictions and agreement of every structure, and strengths by kind of pair."""
    import polars as pl
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from atomlens.surveys import correlation, kind_strengths

    console, names, unit = (
        clean_console(),
        [run.name for run in comparison.runs],
        comparison.unit,
    )
    table = Table(box=box.SIMPLE_HEAD, title=f"predictions, {unit}; r: correlation of pair terms", title_justify="left")
    table.add_column("structure")
    for name in names:
        table.add_column(Text(name), justify="right")
    for name in names[1:]:
        table.add_column(Text("r" if len(names) == 2 else f"r {name}"), justify="right")
    entries = comparison.runs[0].summary["frames"]
    for number, entry in enumerate(entries[:20]):
        terms = comparison.terms(comparison.pairs.filter(pl.col("frame") == entry["frame"]))
        found = [correlation(terms[:, 0], terms[:, k]) for k in range(1, len(names))]
        values = [f"{run.summary['frames'][number]['prediction']:.3f}" for run in comparison.runs]
        table.add_row(Text(entry["name"]), *values, *("-" if r is None else f"{r:.3f}" for r in found))
    console.print(table)
    if len(entries) > 20:
        console.print(f"and {len(entries) - 20} more structures in summary.json")
    kinds = Table(box=box.SIMPLE_HEAD, title=f"mean strength by kind of pair, {unit}, bias walks included")
    kinds.title_justify = "left"
    kinds.add_column("kind")
    kinds.add_column("pairs", justify="right")
    for name in names:
        kinds.add_column(Text(name), justify="right")
    for row in kind_strengths(comparison):
        kinds.add_row(row["kind"], str(row["count"]), *(f"{value:.4f}" for value in row["strength"]))
    console.print(kinds)
