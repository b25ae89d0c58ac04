"""The questions by name, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_type_hints

from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.verdict import Verdict, conclude, not_applicable
from atomlens.potentials import AnyPotential
from atomlens.structures import InputError
from atomlens.surveys import Progress, no_progress


@dataclass(frozen=True)
class Question:
    """One question: where it is answered, and what it asks.

    Attributes
    ----------
    slug
        Its name on the command line and on disk.
    module
        Name of its module or package here (which has the question in ``question.py``), and of its chapter in
        `atomlens.report.chapters`.
    asks
        The question in one sentence.
    topic
        What it is about, a word or two: its line on top of the page begins so.
    needs
        Option of the command line without which it cannot be asked; "" for none.
    """

    slug: str
    module: str
    asks: str
    topic: str
    needs: str = ""

    @property
    def title(self) -> str:
        """Heading of its chapter."""
        return self._home.TITLE

    def compute(self, inputs: AnalysisInputs, progress: Progress = no_progress) -> Any:
        """The expensive part: a typed result, to be stored by `save_result`."""
        return self._home.compute(inputs, progress=progress)

    def why_not(self, model: AnyPotential) -> str:
        """Why the question means nothing for a model, in a sentence; empty where it does."""
        asked = getattr(self._home, "why_not", None)
        return "" if asked is None else asked(model)

    def inapplicable(self, reason: str) -> Verdict:
        """The verdict where the question means nothing for a model."""
        return conclude(self.slug, (not_applicable(self.asks, f"{self.asks} {reason}"),), reason)

    def judge(self, result: Any) -> Verdict:
        """The cheap part: what a result says."""
        return self._home.judge(result)

    @property
    def result_type(self) -> type:
        """Class of the results."""
        return get_type_hints(self._home.judge)["result"]

    @property
    def _home(self) -> Any:
        home = import_module(f"atomlens.analyses.{self.module}")
        return import_module(f"{home.__name__}.question") if hasattr(home, "__path__") else home


QUESTIONS = (
    Question("species", "species", "Are pair terms as strong as chemistry says of their elements and bonds?", "Bonds"),
    Question(
        "extensivity", "extensivity", "Does an extensive property add over molecules, and an intensive one not?", "Size"
    ),
    Question("decay", "decay", "Do interactions fall with distance as physics says?", "Distance"),
    Question(
        "contacts",
        "contacts",
        "Do interactions of two molecules follow those of benchmark dimers?",
        "Contacts",
        needs="--dimers",
    ),
    Question(
        "many-body",
        "many_body",
        "How much is carried by pairs, triples and more, and does it match removal?",
        "Many bodies",
    ),
    Question(
        "three-bodies",
        "three_bodies",
        "Does a third molecule change the contact of two as it should?",
        "Three molecules",
    ),
    Question("smoothness", "smoothness", "Is the energy smooth, and does it rise where atoms meet?", "Energy surface"),
    Question(
        "faithfulness",
        "faithfulness",
        "Do the terms predict what the model does when a message is cut?",
        "Explanations",
    ),
)


def chosen_questions(names: str, given: Collection[str] = ()) -> tuple[Question, ...]:
    """Questions named in a comma-separated list, in their own order; ``all`` for every one that can be asked.

    Parameters
    ----------
    names
        The list.
    given
        Options of the command line that are given, which some questions need (`Question.needs`).

    Raises
    ------
    InputError
        If a name is not known, a question lacks the option that it needs, or an option the question that it is for.

    Examples
    --------
    >>> [question.slug for question in chosen_questions("decay,species")]
    ['species', 'decay']
    """
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    known = [question.slug for question in QUESTIONS]
    if not wanted:
        raise InputError(f"no question is named; give all, or some of {', '.join(known)}")
    if wanted == {"all"}:
        return tuple(question for question in QUESTIONS if not question.needs or question.needs in given)
    for name in sorted(wanted - set(known)):
        raise InputError(f"question {name!r} is not known; give all, or some of {', '.join(known)}")
    for question in QUESTIONS:
        if question.needs and (question.slug in wanted) != (question.needs in given):
            lacks = f"question {question.slug} needs {question.needs}"
            unused = f"{question.needs} is for question {question.slug}, which --questions leaves out; add it"
            raise InputError(lacks if question.slug in wanted else unused)
    return tuple(question for question in QUESTIONS if question.slug in wanted)
