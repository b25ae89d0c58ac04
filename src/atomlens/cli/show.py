"""What the terminal shows: progress while frames are explained, and the main numbers at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from rich import box
from rich.progress import MofNCompleteColumn
from rich.table import Table
from rich.text import Text

from atomlens.cli.options import RuleName
from atomlens.cli.output import finished
from atomlens.cli.progress import progress_bars
from atomlens.cli.terminal import console as clean_console
from atomlens.structures import geometry_note

if TYPE_CHECKING:
    from atomlens.models import ModelFacts
    from atomlens.runs import RunResult
    from atomlens.tables import ExplainedFrame

_SHOWN_PAIRS, _SHOWN_WARNINGS = 10, 3
_ORDERS = ("single atoms", "pairs", "triples")


@contextmanager
def frame_progress(n_frames: int) -> Iterator[Callable[[ExplainedFrame], ExplainedFrame]]:
    """Progress on stderr over the frames of a run.

    Yields
    ------
    A function that takes and returns a frame, and moves the bar.
    """
    with progress_bars(MofNCompleteColumn()) as bars:
        task = bars.add_task("explaining", total=n_frames)

        def advance(frame: ExplainedFrame) -> ExplainedFrame:
            bars.advance(task)
            return frame

        yield advance


def show_result(result: RunResult, out: Path, read: str = "", *, model: ModelFacts, model_name: str) -> None:
    """Print the strongest pairs and the sums of the first frame, how much was read, and where everything is."""
    from atomlens.recording import DEFAULT_PRODUCT_RULE
    from atomlens.reference import property_words
    from atomlens.report import PRODUCT_RULES, RULES

    # Names come from files: markup and highlighting are off, so that they are printed as they are.
    console = clean_console()
    frame, frames = result.first, result.summary["frames"]
    of_frames = f" (first of {len(frames)} frames)" if len(frames) > 1 else ""
    console.print(
        f"{frame.name}{of_frames}: {property_words(frame.quantity)} {frame.prediction:.6f} {frame.unit} "
        f"by {_model_name(model_name)} ({model.name})",
        soft_wrap=True,
    )
    if frame.rule != RuleName.GATE.value:
        console.print(f"rule {frame.rule}: {RULES[frame.rule].short}", soft_wrap=True)
    if frame.product_rule not in (None, "", DEFAULT_PRODUCT_RULE):
        console.print(f"product rule {frame.product_rule}: {PRODUCT_RULES[frame.product_rule].short}", soft_wrap=True)
    if (note := geometry_note(frame.atoms)) is not None:
        console.print(note)
    elif read:
        console.print(f"read {read} of {result.summary['structures']}", soft_wrap=True)
    if odd := [entry for entry in frames if entry["outside"]]:
        where = "" if len(frames) == 1 else f" (frame {odd[0]['frame']}; {len(odd)} of {len(frames)} frames are)"
        console.print(f"outside of what the model was trained on{where}:")
        for sentence in odd[0]["outside"]:
            console.print(f"  {sentence}", soft_wrap=True)
    for entry in frames[:_SHOWN_WARNINGS]:
        for warning in entry["warnings"]:
            console.print(f"warning: {entry['name']}: {warning}", soft_wrap=True)
    if frame.interactions.max_order >= 2 and len(frame.interactions.order(2).relevance):
        console.print(_pairs(frame))
    if frame.groups is not None:
        console.print(_groups(frame))
    conserves = RULES[frame.rule].conserves
    console.print(_sums(frame, conserves))
    largest = max(abs(entry["residual"]) for entry in frames)
    name = "largest residual" if len(frames) > 1 else "residual"
    if not conserves:
        console.print(f"the rule {frame.rule} conserves nothing: the parts miss the prediction by the residual")
    console.print(f"{name} {largest:.1e} {frame.unit}, {result.summary['seconds']:.1f} s")
    finished(out / result.page.name)


def _model_name(model: str) -> str:
    """Name of a shipped model, or of a file without its folder."""
    return model.removeprefix("zoo:") if ":" in model else Path(model).name


def _pairs(frame: ExplainedFrame) -> Table:
    terms, around = frame.interactions.order(2), frame.surroundings
    best = np.argsort(-np.abs(terms.relevance), kind="stable")[:_SHOWN_PAIRS]
    (i, j), relevance = terms.atoms[best].T, terms.relevance[best]
    table = Table(
        box=box.SIMPLE_HEAD,
        title="the only pair" if len(terms.relevance) == 1 else f"strongest of {len(terms.relevance)} pairs",
        title_justify="left",
    )
    _columns(table, {"pair": "left", "Å": "right", "bond": "left", f"term, {frame.unit}": "right"})
    for a, b, distance, bond, value in zip(
        i.tolist(), j.tolist(), around.distances(i, j), around.bond_classes(i, j), relevance, strict=True
    ):
        style = "blue" if value < 0 else "dark_orange"
        pair = f"{around.labels[a]}-{around.labels[b]}"
        table.add_row(pair, f"{distance:.2f}", bond, Text(f"{value:+.4f}", style=style))
    return table


def _groups(frame: ExplainedFrame) -> Table:
    from atomlens.tables import groups_table

    terms, unit = groups_table(frame), f"relevance_{frame.unit}"
    best = terms.sort(pl.col(unit).abs(), descending=True, maintain_order=True).head(_SHOWN_PAIRS)
    title = f"groups: strongest of {terms.height} terms" if terms.height > best.height else "groups"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    _columns(table, {"group, or between groups": "left", f"term, {frame.unit}": "right"})
    for one, other, value in best.select("group_1", "group_2", unit).iter_rows():
        table.add_row(Text(one if other is None else f"{one}, {other}"), f"{value:+.4f}")
    if terms.height > best.height:
        rest = terms[unit].to_numpy().sum() - best[unit].to_numpy().sum()
        table.add_row("other groups and pairs of groups", f"{rest:+.4f}")
    assert frame.group_terms is not None
    table.add_row("three groups or more", f"{frame.group_terms.remainder:+.4f}")
    return table


def _columns(table: Table, justify: dict[str, Literal["left", "right"]]) -> None:
    for name, side in justify.items():
        table.add_column(Text(name), justify=side)


def _sums(frame: ExplainedFrame, conserves: bool) -> Table:
    from atomlens.tables import order_totals

    table = Table(box=box.SIMPLE_HEAD, title=f"sums by order, {frame.unit}", title_justify="left")
    _columns(table, {"part": "left", "terms": "right", "net": "right", "absolute": "right"})
    table.add_row("constant", "", f"{frame.constant:+.4f}", "")
    totals = order_totals(frame)
    for name, total in zip(_ORDERS, totals, strict=False):
        table.add_row(name, str(total.count), f"{total.total:+.4f}", f"{total.strength:.4f}")
    for kind, total in frame.long_range:
        table.add_row(f"of the pairs: {kind}, long range", "", f"{total:+.4f}", "")
    rest = f"{len(totals) + 1} atoms or more" + ("" if conserves else ", and the residual")
    table.add_row(rest, "", f"{frame.interactions.remainder:+.4f}", "")
    return table
