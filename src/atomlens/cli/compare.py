"""``atomlens compare``: runs of several models side by side, explanations or verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from atomlens.cli.output import finished
from atomlens.cli.runs import command_line
from atomlens.cli.terminal import console as clean_console

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from atomlens.runs import VerdictComparison
    from atomlens.surveys import Comparison

_Side = Literal["left", "right"]

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
    from rich.text import Text

    from atomlens.analyses import NOT_ASKED, questions_of
    from atomlens.cli.verdicts import STYLES

    console, runs = clean_console(), comparison.runs
    rows = []
    for question in questions_of(runs):
        outcomes = [(run.verdict(question.slug) or {}).get("outcome", NOT_ASKED) for run in runs]
        rows.append(_Row((question.slug,), ([Text(found, style=STYLES.get(found, "dim")) for found in outcomes],)))
    console.print(_by_model(None, {"question": "left"}, [run.name for run in runs], [("", "outcome")], rows))
    if comparison.differing:
        console.print(f"different structures: {comparison.differing}", soft_wrap=True)
    if comparison.ranges:
        console.print(f"different distances: {comparison.ranges}", soft_wrap=True)


def show_comparison(comparison: Comparison) -> None:
    """Print predictions and agreement of every structure, and strengths by kind of pair."""
    import polars as pl
    from rich.text import Text

    from atomlens.surveys import correlation, kind_strengths

    console, names, unit = clean_console(), [run.name for run in comparison.runs], comparison.unit
    entries = comparison.runs[0].summary["frames"]
    rows = []
    for number, entry in enumerate(entries[:20]):
        terms = comparison.terms(comparison.pairs.filter(pl.col("frame") == entry["frame"]))
        found = [correlation(terms[:, 0], terms[:, k]) for k in range(1, len(names))]
        values = [Text(f"{run.summary['frames'][number]['prediction']:.3f}") for run in comparison.runs]
        agreement = [None, *(Text("-" if r is None else f"{r:.3f}") for r in found)]
        rows.append(_Row((entry["name"],), (values, agreement)))
    title = f"predictions, {unit}; r: correlation of pair terms with {names[0]}"
    columns = [("", f"prediction, {unit}"), ("r", f"r with {names[0]}")]
    console.print(_by_model(title, {"structure": "left"}, names, columns, rows))
    if len(entries) > 20:
        console.print(f"and {len(entries) - 20} more structures in summary.json")
    rows = [
        _Row((row["kind"], str(row["count"])), ([Text(f"{value:.4f}") for value in row["strength"]],))
        for row in kind_strengths(comparison)
    ]
    title = f"mean strength by kind of pair, {unit}"
    keys: dict[str, _Side] = {"kind": "left", "pairs": "right"}
    console.print(_by_model(title, keys, names, [("", f"strength, {unit}")], rows))


@dataclass(frozen=True)
class _Row:
    """What a row is about, and for every quantity one cell per model; None where a model has none."""

    about: tuple[str, ...]
    cells: tuple[list[Text | None] | list[Text], ...]


def _by_model(
    title: str | None,
    keys: Mapping[str, _Side],
    names: list[str],
    quantities: list[tuple[str, str]],
    rows: list[_Row],
) -> Table:
    """A table with one column per model where all of it fits the terminal, with one row per model otherwise.

    Parameters
    ----------
    keys
        Columns of what the rows are about, and their side.
    names
        Names of the models.
    quantities
        Of every quantity, what stands before a model's name over its column, and the name of its column where models
        are rows.
    """
    from rich.measure import Measurement

    console = clean_console()
    wide = _models_in_columns(title, keys, names, quantities, rows)
    needed = Measurement.get(console, console.options.update(max_width=100_000), wide).maximum
    return wide if needed <= console.width else _models_in_rows(title, keys, names, quantities, rows)


def _models_in_columns(
    title: str | None,
    keys: Mapping[str, _Side],
    names: list[str],
    quantities: list[tuple[str, str]],
    rows: list[_Row],
) -> Table:
    from rich.text import Text

    table = _table(title, keys)
    shown = [(q, k) for q in range(len(quantities)) for k in range(len(names)) if any(row.cells[q][k] for row in rows)]
    for q, k in shown:
        table.add_column(Text(f"{quantities[q][0]} {names[k]}".strip()), justify="right")
    for row in rows:
        table.add_row(*map(Text, row.about), *(row.cells[q][k] for q, k in shown))
    return table


def _models_in_rows(
    title: str | None,
    keys: Mapping[str, _Side],
    names: list[str],
    quantities: list[tuple[str, str]],
    rows: list[_Row],
) -> Table:
    from rich.text import Text

    table = _table(title, keys)
    table.add_column("model", overflow="fold")
    for _, header in quantities:
        table.add_column(Text(header), justify="right")
    for row in rows:
        for k, name in enumerate(names):
            about = row.about if k == 0 else [""] * len(row.about)
            table.add_row(*map(Text, about), Text(name), *(cells[k] for cells in row.cells))
        table.add_section()
    return table


def _table(title: str | None, keys: Mapping[str, _Side]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for key, side in keys.items():
        table.add_column(key, justify=side, overflow="fold")
    return table
