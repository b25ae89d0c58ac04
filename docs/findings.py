"""Fill the tables and figures of findings.md from runs, so that every number has the command that makes it.

Usage: python docs/findings.py RUN [RUN ...]

Each RUN is a folder that ``atomlens analyze`` wrote, named as the model should be called. Tables come from its
summary.json; figures are drawn from its stored results into docs/findings/. Between the marks ``<!-- species -->``
and ``<!-- /species -->`` everything is replaced; what stands outside of them is written by hand.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib import rc_context

from atomlens.analyses.questions import QUESTIONS
from atomlens.report.findings import NOT_ASKED, AnalysedRun, claims_of, finding_lines, read_run
from atomlens.structures import InputError

PAGE = Path(__file__).parent / "findings.md"
FIGURES = Path(__file__).parent / "findings"


def overview(runs: list[AnalysedRun]) -> str:
    """Which models, on which structures, by which command."""
    lines = ["| run | property | structures |", "|---|---|---|"]
    for run in runs:
        found = run.summary
        lines.append(f"| {run.name} | {found['property']} | {found['n_structures']} ({found['structures']}) |")
    commands = [run.summary["command"] for run in runs]
    return "\n".join([*lines, "", "```bash", *commands, f"python docs/findings.py {' '.join(map(_path, runs))}", "```"])


def section(runs: list[AnalysedRun], slug: str, pictures: dict[str, str]) -> str:
    """Claims by models, what was said of each, and figures.

    Parameters
    ----------
    runs
        The runs.
    slug
        Which question.
    pictures
        Address of the figure of each run, by its name.
    """
    asked = {run.name: run.findings(slug) for run in runs}
    claims = claims_of(runs, slug)
    if not claims:
        return "*No run asked this question.*"
    lines = [f"| claim | {' | '.join(asked)} |", "|---" * (len(runs) + 1) + "|"]
    for claim in claims:
        cells = [_cell(findings.get(claim)) for findings in asked.values()]
        lines.append(f"| {_safe(claim)} | {' | '.join(cells)} |")
    for name, findings in asked.items():
        told = [f"- *{finding['outcome']}*: {_safe(finding['sentence'])}" for finding in findings.values()]
        lines += ["", f"**{name}**", "", *told]
    for name, address in pictures.items():
        lines += ["", f"![{slug}, {name}]({address})", "", f"*{name}*"]
    return "\n".join(lines)


def filled(page: str, parts: dict[str, str]) -> str:
    """The page with each part between its marks.

    Raises
    ------
    InputError
        If the page lacks a pair of marks.
    """
    for name, text in parts.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, count = marks.subn(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
        if count != 1:
            raise InputError(f"the page holds {count} pairs of marks for {name!r}; it needs one")
    return page


def draw(run: AnalysedRun, slug: str, folder: Path) -> str | None:
    """Draw the figure of a question into a folder; its address on the page, or None where it was not asked."""
    question = next(question for question in QUESTIONS if question.slug == slug)
    result = run.result(question)
    if result is None:
        return None
    figure = import_module(f"atomlens.report.chapters.{question.module}").figure(result)
    folder.mkdir(exist_ok=True)
    path = folder / f"{run.name}-{slug}.svg"
    with rc_context({"svg.hashsalt": "atomlens"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
    return f"{folder.name}/{path.name}"


def _cell(finding: dict[str, Any] | None) -> str:
    if finding is None:
        return NOT_ASKED
    return "<br>".join([f"**{finding['outcome']}**", *(_safe(line) for line in finding_lines(finding))])


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _path(run: AnalysedRun) -> str:
    return run.folder.as_posix()


def main(folders: list[str]) -> None:
    """Fill the page."""
    runs = [read_run(Path(folder)) for folder in folders]
    parts = {"runs": overview(runs)}
    for question in QUESTIONS:
        drawn = {run.name: draw(run, question.slug, FIGURES) for run in runs}
        pictures = {name: address for name, address in drawn.items() if address is not None}
        parts[question.slug] = section(runs, question.slug, pictures)
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"findings: {error}")
