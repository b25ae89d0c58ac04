"""What the terminal shows of an analysis: progress step by step, and a table of verdicts at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.progress import MofNCompleteColumn
from rich.table import Table
from rich.text import Text

from atomlens.cli.output import finished
from atomlens.cli.progress import progress_bars
from atomlens.cli.terminal import console as clean_console
from atomlens.folders import PAGE

if TYPE_CHECKING:
    from atomlens.analyses import Verdict
    from atomlens.runs import AnalysisRun
    from atomlens.surveys import Progress as Tell

STYLES = {
    "agrees": "green",
    "deviates": "dark_orange",
    "cannot tell": "dim",
    "by construction": "cyan",
    "not applicable": "dim",
    "descriptive": "dim",
}


@contextmanager
def step_progress() -> Iterator[Tell]:
    """A bar on stderr for each step of a long run."""
    with progress_bars(MofNCompleteColumn()) as bars:
        steps: dict[str, int] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in steps:
                for earlier in steps.values():
                    bars.update(bars.task_ids[earlier], visible=False)
                steps[what] = len(steps)
                bars.add_task(what, total=total)
            bars.update(bars.task_ids[steps[what]], completed=done, total=total)

        yield tell


def show_verdicts(run: AnalysisRun) -> None:
    """Print every finding with its score, and where everything is."""
    console = clean_console()
    judged = f", {run.n_sampled} of them judged" if run.n_sampled < run.n_structures else ""
    counted = "1 structure" if run.n_structures == 1 else f"{run.n_structures} structures"
    table = Table(box=box.SIMPLE_HEAD, title=f"{counted}{judged}", title_justify="left")
    for name in ("question", "verdict", "what came out"):
        table.add_column(Text(name), overflow="fold")
    for verdict in run.verdicts:
        style = STYLES.get(verdict.outcome.value, "dim")
        table.add_row(verdict.question, Text(verdict.outcome.value, style=style), Text(_said(verdict)))
    for warning in run.summary.get("warnings", ()):
        console.print(f"warning: {warning}", soft_wrap=True)
    console.print(table)
    if (odd := run.summary["outside"])["n_outside"]:
        console.print(
            f"outside of what the model was trained on: {odd['n_outside']} of {odd['n_checked']} structures; "
            f"structure {odd['first']['frame']}: {'; '.join(odd['first']['in'])}",
            soft_wrap=True,
        )
    if run.n_skipped:
        console.print(f"{run.n_skipped} structures could not be explained: see tables/skipped.parquet")
    finished(run.folder / PAGE)


def _said(verdict: Verdict) -> str:
    """What the finding that decides says, answer first and its number after; the page has the rest."""
    from atomlens.analyses import without_question

    decides = next((finding for finding in verdict.findings if finding.sentence == verdict.sentence), None)
    if decides is None or decides.effect is None:
        return without_question(verdict.sentence)
    return f"{decides.answer} {decides.effect.named}."
