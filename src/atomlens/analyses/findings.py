"""Findings of finished analyses, read back from their folders: by question, by claim, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomlens.analyses.questions import QUESTIONS, Question
from atomlens.folders import MARK, load_result, read_summary
from atomlens.structures import InputError

# Raised whenever a key of an analysis's summary.json changes its meaning or goes away.
ANALYSIS_SCHEMA = 2
_NEEDED = ("schema", "options", "model", "structures", "property", "unit", "n_structures")
NOT_ASKED = "not asked"


@dataclass(frozen=True)
class AnalysedRun:
    """A finished run of ``atomlens analyze``.

    Attributes
    ----------
    folder
        Where it lies.
    summary
        Its ``summary.json``.
    name
        How tables call the model.
    """

    folder: Path
    summary: dict[str, Any]
    name: str

    def verdict(self, slug: str) -> dict[str, Any] | None:
        """The answer to a question; None where it was not asked."""
        return next((verdict for verdict in self.summary["verdicts"] if verdict["question"] == slug), None)

    def findings(self, slug: str) -> dict[str, dict[str, Any]]:
        """Findings of a question by their claim; none where it was not asked."""
        verdict = self.verdict(slug)
        return {} if verdict is None else {finding["claim"]: finding for finding in verdict["findings"]}

    def result(self, question: Question) -> Any:
        """The stored result of a question; None where it was not asked.

        Raises
        ------
        InputError
            If what is stored cannot be read.
        """
        home = self.folder / "questions" / question.slug
        return load_result(question.result_type, home) if self.has_result(question) else None

    def has_result(self, question: Question) -> bool:
        """Whether a result of a question is stored."""
        return (self.folder / "questions" / question.slug).is_dir()

    @property
    def n_sampled(self) -> int:
        """From how many structures questions were answered."""
        return self.summary.get("n_sampled", self.summary["n_structures"])


def is_analysis(folder: Path) -> bool:
    """Whether a folder holds a finished run of ``atomlens analyze``."""
    try:
        return "verdicts" in read_summary(folder)
    except (OSError, ValueError):
        return False


def read_run(folder: Path) -> AnalysedRun:
    """Read the summary of a run, named as its folder.

    Raises
    ------
    InputError
        If the folder holds no finished analysis, or one of another version.
    """
    try:
        summary = read_summary(folder)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: holds no finished run; make one with atomlens analyze") from error
    if "verdicts" not in summary:
        raise InputError(f"{folder}: holds no verdicts; give a folder that atomlens analyze wrote")
    if missing := [key for key in _NEEDED if key not in summary]:
        raise InputError(f"{folder}: its {MARK} lacks {missing[0]!r}; analyze again")
    if summary["schema"] != ANALYSIS_SCHEMA:
        raise InputError(
            f"{folder}: written by another version (schema {summary['schema']}, here {ANALYSIS_SCHEMA}); analyze again"
        )
    return AnalysedRun(folder, summary, folder.name)


def questions_of(runs: Sequence[AnalysedRun]) -> list[Question]:
    """Questions that at least one run was asked, in their own order."""
    return [question for question in QUESTIONS if any(run.verdict(question.slug) is not None for run in runs)]


def claims_of(runs: Sequence[AnalysedRun], slug: str) -> list[str]:
    """All claims of a question that any run holds a finding on."""
    return list(dict.fromkeys(claim for run in runs for claim in run.findings(slug)))


def finding_lines(finding: dict[str, Any]) -> list[str]:
    """Effect with interval, unit and number of units; what it is compared with; every control: one line each."""
    effect = finding["effect"]
    if effect is None:
        return []
    text = number_text(effect["value"])
    if effect["low"] is not None:
        text += f" [{number_text(effect['low'])}, {number_text(effect['high'])}]"
    lines = [text + f" {effect['unit']}".rstrip() + f", n = {effect['n']}"]
    if "allowed" not in finding:
        lines.append("expected: not stored by this older run; analyze again")
    elif finding["allowed"]:
        lines.append(f"expected: {finding['allowed']}")
    elif finding["threshold"] is not None:
        lines.append(f"compared with {number_text(finding['threshold'])}")
    return lines + [f"{control['name']}: {_control_text(control)}" for control in finding["controls"]]


def _control_text(control: dict[str, Any]) -> str:
    """The value of a control; of several seeds or draws the median and the range."""
    values = [value for value in control.get("values", ()) if value is not None]
    spread = f" ({number_text(min(values))} to {number_text(max(values))})" if len(values) > 1 else ""
    return number_text(control["value"]) + spread


def number_text(value: float | None) -> str:
    """Three digits with a proper minus sign; "none" where there is no number."""
    return "none" if value is None else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
