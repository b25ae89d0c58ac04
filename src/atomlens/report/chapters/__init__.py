"""A chapter of the page for each question: ``figure(result)`` and ``HOW``, how the numbers are computed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG

from atomlens.analyses import Finding, Outcome, Question, Verdict, without_question
from atomlens.report.answers import Meaning, meaning


@dataclass(frozen=True)
class Chapter:
    """What the page shows of one question.

    Attributes
    ----------
    slug, title, asks
        Name, heading and the question itself.
    verdict
        The answer.
    picture
        The figure as an SVG data address; empty where nothing was computed.
    how
        How it is computed, as HTML of our own.
    has_terms
        Whether the model has terms.
    headline
        The answer in one sentence for the top of the page, where it follows from numbers rather than from the outcome.
    words
        What outcomes are called in this chapter, where they have names of their own; all findings are listed then.
    """

    slug: str
    title: str
    asks: str
    verdict: Verdict
    picture: str
    how: Markup
    has_terms: bool = True
    headline: str = ""
    words: Mapping[Outcome, str] = field(default_factory=dict)

    def word(self, outcome: Outcome) -> str:
        """What an outcome is called in this chapter."""
        return self.words.get(outcome, outcome.value)

    @property
    def by_interval(self) -> bool:
        """Whether any outcome follows from an interval and controls, as the page explains it."""
        return not self.words and any(finding.outcome is not Outcome.DESCRIPTIVE for finding in self.verdict.findings)

    @property
    def came_out(self) -> str:
        """The verdict's sentence without the question that it begins with: the page shows that beside it."""
        return without_question(self.verdict.sentence)

    @property
    def answered(self) -> list[Finding]:
        """Findings that deviate, then those that agree; where there are none, what the architecture gives."""
        if self.words:
            return list(self.verdict.findings)
        found = [finding for finding in self.verdict.findings if finding.decides]
        kinds = (Outcome.DEVIATES, Outcome.AGREES)
        answers = [finding for kind in kinds for finding in found if finding.outcome is kind]
        return answers or [finding for finding in found if finding.outcome is Outcome.BY_CONSTRUCTION]

    @property
    def unanswered(self) -> str:
        """How many other findings there are, by outcome; empty for none."""
        listed = {id(finding) for finding in self.answered}
        rest = [finding.outcome for finding in self.verdict.findings if finding.decides and id(finding) not in listed]
        counts = {outcome: rest.count(outcome) for outcome in Outcome}
        words = {Outcome.CANNOT_TELL: "could not be decided"}
        parts = [f"{n} {words.get(outcome, outcome.value)}" for outcome, n in counts.items() if n]
        return ", ".join(parts)

    @property
    def meaning(self) -> Meaning | None:
        """What the verdict means for the use of the model."""
        return meaning(self.verdict, has_terms=self.has_terms)

    @property
    def controlled(self) -> list[Finding]:
        """Findings that have controls."""
        return [finding for finding in self.verdict.findings if finding.controls]


def make_chapter(question: Question, result: Any, verdict: Verdict) -> Chapter:
    """Draw a result and put its chapter together."""
    home = import_module(f"{__name__}.{question.module}")
    picture, has_terms = svg_address(home.figure(result)), getattr(result, "has_terms", True)
    return Chapter(question.slug, question.title, question.asks, verdict, picture, Markup(home.HOW), has_terms)


def unanswered_chapter(question: Question, verdict: Verdict) -> Chapter:
    """The chapter of a question that means nothing for the model: a reason, and no picture."""
    home = import_module(f"{__name__}.{question.module}")
    return Chapter(question.slug, question.title, question.asks, verdict, "", Markup(home.HOW))


def svg_address(figure: Any) -> str:
    """A matplotlib figure as ``data:image/svg+xml`` address; the same figure gives the same bytes.

    The layout is made here, once, and stays: `savefig` would draw everything once more for it.
    """
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "atomlens"}):
        FigureCanvasSVG(figure)  # texts are as wide as in the file
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
