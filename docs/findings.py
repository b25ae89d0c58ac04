"""Fill the tables and figures of findings.md from runs, so that every number has the command that makes it.

Usage: python docs/findings.py RUN [RUN ...]

Each RUN is a folder that ``atomlens analyze`` wrote, named as the model should be called. Tables come from its
summary.json; figures are drawn from its stored results into docs/findings/. Between the marks ``<!-- species -->``
and ``<!-- /species -->`` everything is replaced; what stands outside of them is written by hand.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from pages import filled

from atomlens.analyses.findings import AnalysedRun, number_text, read_run
from atomlens.analyses.questions import QUESTIONS, chosen_questions
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
    """Claims by models at a glance; then claim by claim what was said of each model, and figures.

    Parameters
    ----------
    runs
        The runs; those that did not ask the question are left out, those with the same claims share a table, and those
        for which no claim means anything are named below it.
    slug
        Which question.
    pictures
        Address of the figure of each run, by its name.
    """
    alike: dict[tuple[str, ...], list[AnalysedRun]] = {}
    asked = [run for run in runs if run.findings(slug)]
    for run in asked:
        if not _is_off(run, slug):
            alike.setdefault(tuple(run.findings(slug)), []).append(run)
    if not alike:
        return "*No run asked this question.*"
    lines = [line for claims, group in alike.items() for line in [*_glances(claims, group, slug), ""]]
    off = [f"{run.name} ({run.summary['property']})" for run in asked if _is_off(run, slug)]
    lines += [f"*Not applicable to {', '.join(off)}.*", ""] if off else []
    lines += ['??? note "Claim by claim: intervals, sentences and controls"', ""]
    lines += [f"    {line}" for claims, group in alike.items() for line in _details(claims, group, slug)]
    if pictures:
        lines += ["", '??? note "Figures"']
    for name, address in pictures.items():
        lines += ["", f"    ![{slug}, {name}]({address})", "", f"    *{name}*"]
    return "\n".join(line.rstrip() for line in lines)


def _is_off(run: AnalysedRun, slug: str) -> bool:
    """Whether no claim of the question means anything for what the model predicts."""
    return {finding["outcome"] for finding in run.findings(slug).values()} == {"not applicable"}


def _glances(claims: tuple[str, ...], runs: list[AnalysedRun], slug: str) -> list[str]:
    lines = [f"| claim | {' | '.join(run.name for run in runs)} |", "|---" * (len(runs) + 1) + "|"]
    cells = {claim: [_glance(run.findings(slug)[claim]) for run in runs] for claim in claims}
    return lines + [f"| {_safe(claim)} | {' | '.join(row)} |" for claim, row in cells.items()]


def _details(claims: tuple[str, ...], runs: list[AnalysedRun], slug: str) -> list[str]:
    lines = []
    for claim in claims:
        lines += [f"**{_safe(claim)}**", "", "| model | outcome | what came out | controls |", "|---|---|---|---|"]
        lines += [f"| {run.name} | {_row(run.findings(slug)[claim])} |" for run in runs]
        lines += [""]
    return lines


def draw(run: AnalysedRun, slug: str, folder: Path) -> str | None:
    """Draw the figure of a question into a folder; its address on the page, or None where there is nothing to see."""
    question = next(question for question in QUESTIONS if question.slug == slug)
    result = run.result(question)
    if result is None or _is_off(run, slug):
        return None
    figure = import_module(f"atomlens.report.chapters.{question.module}").figure(result)
    folder.mkdir(exist_ok=True)
    path = folder / f"{run.name}-{slug}.svg"
    with rc_context({"svg.hashsalt": "atomlens"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
    return f"{folder.name}/{path.name}"


def _glance(finding: dict[str, Any]) -> str:
    """The outcome, and the effect if there is one."""
    effect = finding["effect"]
    number = "" if effect is None else f"<br>{number_text(effect['value'])} {effect['unit']}".rstrip()
    return f"**{finding['outcome']}**{number}"


def _row(finding: dict[str, Any]) -> str:
    """Outcome, sentence and controls as cells of a table."""
    controls = [f"{control['name']}: {number_text(control['value'])}" for control in finding["controls"]]
    return " | ".join([finding["outcome"], _safe(finding["sentence"]), _safe("; ".join(controls))])


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _path(run: AnalysedRun) -> str:
    return run.folder.as_posix()


def main(folders: list[str]) -> None:
    """Fill the page."""
    runs = [read_run(Path(folder)) for folder in folders]
    parts = {"runs": overview(runs)}
    for question in chosen_questions("all"):
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
