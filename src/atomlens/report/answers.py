"""Answers in plain words: what a verdict means for the use of a model, and a sentence per question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from atomlens.analyses import QUESTIONS, Finding, Outcome, Verdict, minus_signs

# Outcomes that decide nothing, each for its own reason.
_OPEN = "cannot tell"


@dataclass(frozen=True)
class Meaning:
    """What an outcome of one question means.

    Attributes
    ----------
    short
        One sentence for the top of the page.
    use
        What follows for the use of the model.
    """

    short: str
    use: str


MEANINGS: Mapping[str, Mapping[str, Meaning]] = {
    "species": {
        "agrees": Meaning(
            "This model has learned which bonds are strong: its pair terms follow chemistry.",
            "Compare bonds by their terms if an expectation over bonded pairs or classes of bonds agrees below; one "
            "over all pairs only tells bonds from the rest. A term is not a bond energy: its zero is the constant "
            "part.",
        ),
        "deviates": Meaning(
            "The pair terms of this model do not follow the strength of chemical bonds.",
            "Do not read bond strengths from its terms. Predictions may still be accurate: the model may reach them "
            "through other sets of atoms, or measure bonds from an average atom.",
        ),
        _OPEN: Meaning(
            "Whether this model knows which bonds are strong cannot be decided from these structures.",
            "Ask again with more molecules and more kinds of bonds.",
        ),
    },
    "extensivity": {
        "by construction": Meaning(
            "Predictions for separate molecules add up (or average) because of the read-out, whatever was learned.",
            "Sizes can be compared. That molecules do not disturb each other was not learned; it holds beyond the "
            "cutoff for any model of this kind.",
        ),
        "agrees": Meaning(
            "Molecules far apart do not disturb each other's prediction.",
            "Predictions for several molecules, and for larger systems made of the same parts, add up as they should.",
        ),
        "deviates": Meaning(
            "Molecules far apart disturb each other's prediction.",
            "Use the model for single molecules of the size it was trained on only; do not compare sizes.",
        ),
        _OPEN: Meaning(
            "Whether prediction and terms grow with molecules as they should was not decided.",
            "Compare terms of molecules of different size with caution.",
        ),
    },
    "decay": {
        "agrees": Meaning(
            "Its interactions fall with distance as physics expects.",
            "The range of interactions is plausible, within the distances that were tested.",
        ),
        "deviates": Meaning(
            "It does not know how interactions fall with distance.",
            "Do not rely on it for contacts between molecules or for distances beyond those in its training set.",
        ),
        _OPEN: Meaning(
            "How its interactions fall with distance could not be compared with physics.",
            "Treat long distances with caution: nothing here shows that they are right or wrong.",
        ),
    },
    "contacts": {
        "agrees": Meaning(
            "It knows where two molecules repel and bind each other.",
            "Terms between two molecules rank contacts of one pair of molecules as good quantum chemistry does.",
        ),
        "deviates": Meaning(
            "It does not know the contacts of two molecules.",
            "Do not use the model for liquids, clusters or adsorption before contacts are in its training set. Below: "
            "whether its energies, its terms or its charges are wrong.",
        ),
        _OPEN: Meaning(
            "Whether it knows the contacts of two molecules could not be decided.",
            "Treat interactions between molecules with caution.",
        ),
    },
    "many-body": {
        "agrees": Meaning(
            "Its terms match the energies of several molecules, as far as they were tested.",
            "Terms between molecules can be read as what their contact is worth to the model.",
        ),
        "deviates": Meaning(
            "Not all of what its terms say about several molecules matches their energies.",
            "Where it deviates, do not read terms as energies of these contacts; sums over many terms, and comparisons "
            "between models, are safer.",
        ),
        _OPEN: Meaning(
            "Whether its terms match the energies of several molecules was not decided.",
            "Read single terms between molecules, and triples, with caution.",
        ),
    },
    "three-bodies": {
        "agrees": Meaning(
            "It knows how a third molecule changes the contact of two.",
            "Cooperative effects of small hydrogen-bonded molecules are those of GFN2-xTB, within a factor of two: one "
            "thing that liquids and clusters need.",
        ),
        "deviates": Meaning(
            "It does not know how a third molecule changes the contact of two.",
            "Do not use the model for liquids or clusters before three molecules in contact are in its training set. "
            "Below: whether its energies or its terms are wrong.",
        ),
        _OPEN: Meaning(
            "Whether it knows how a third molecule changes the contact of two could not be decided.",
            "Treat more than two molecules with caution.",
        ),
    },
    "smoothness": {
        "agrees": Meaning(
            "Its energy is smooth where simulations need it to be.",
            "Bonds, contacts and neighbours that come and go are safe as far as they were tested; run atomlens md to "
            "see how long a simulation lasts.",
        ),
        "deviates": Meaning(
            "Its energy is not smooth, or does not stop atoms that meet.",
            "Expect simulations that break or heat up. The findings below say where: add such geometries to the "
            "training set, or keep to low temperatures.",
        ),
        _OPEN: Meaning(
            "Whether its energy is smooth could not be decided.",
            "Ask again with more molecules, and with the extra xtb for a reference.",
        ),
    },
    "faithfulness": {
        "agrees": Meaning(
            "Its terms predict what the model does when a message is cut, so the explanations can be trusted.",
            "Pictures of pair terms show what the model really uses.",
        ),
        "deviates": Meaning(
            "Its terms do not predict what the model does when a message is cut.",
            "Treat pictures of single terms with caution. On the right of the figure other rules are compared.",
        ),
        _OPEN: Meaning(
            "Whether its terms predict what the model does when a message is cut was not decided.",
            "Treat pictures of single terms as suggestions.",
        ),
    },
    "stability": {
        "agrees": Meaning(
            "",
            "Simulations of this molecule, at this temperature and of this length, are safe; others were not tested.",
        ),
        "deviates": Meaning(
            "",
            "Do not use the model for molecular dynamics under these conditions. Below: what gave way first.",
        ),
        _OPEN: Meaning(
            "",
            "The reason says what to change: more replicas (--replicas), a longer run (--time) or a shorter step "
            "(--timestep).",
        ),
    },
    "check": {
        "agrees": Meaning(
            "",
            "Short simulations of this molecule at this temperature should keep it whole. Longer ones find ways that "
            "are not looked for here: run atomlens md.",
        ),
        "deviates": Meaning(
            "",
            "Expect this molecule to break in a simulation. The lowest ways out show where: add such geometries to the "
            "training set.",
        ),
        _OPEN: Meaning(
            "",
            "Some simulations will break it. A way out far below the mark of GFN2, or a wall that gives way where that "
            "of GFN2 holds, is a hole in the model: add such geometries to its training set, and run atomlens md.",
        ),
    },
}

# An ASE calculator has no terms: its energies were compared in their place.
_WITHOUT_TERMS: Mapping[str, Mapping[str, Meaning]] = {
    "contacts": {
        **MEANINGS["contacts"],
        "agrees": replace(
            MEANINGS["contacts"]["agrees"],
            use="Its energies rank contacts of one pair of molecules as good quantum chemistry does; how deep they are "
            "was not judged.",
        ),
        "deviates": replace(MEANINGS["contacts"]["deviates"], use="Do not use it for liquids, clusters or adsorption."),
    },
    "many-body": {
        "agrees": Meaning(
            "Energies of two and three molecules in contact are about those of GFN2.",
            "Clusters and contacts between molecules can be trusted about as far as GFN2.",
        ),
        "deviates": Meaning(
            "Energies of two and three molecules in contact are not those of GFN2.",
            "Do not rely on it for contacts between molecules before you have compared some with a better method.",
        ),
        _OPEN: Meaning(
            "Whether energies of two and three molecules in contact are those of GFN2 was not decided.",
            "Ask again with more molecules, or with clusters of them.",
        ),
    },
}

# Outcomes that say the same of every question; `short` is empty where nothing belongs on top of the page.
_GENERAL: Mapping[str, Meaning] = {
    "by construction": Meaning(
        "", "This holds for any model of this architecture and read-out; it says nothing about what was learned."
    ),
    "not applicable": Meaning(
        "", "The question has no meaning for this property or architecture; other data will not change that."
    ),
    "descriptive": Meaning("", "A number to look at; it cannot tell a good model from a bad one."),
}

# What a question is about, in a word or two for the top of the page.
_TOPICS = {question.slug: question.topic for question in QUESTIONS}


@dataclass(frozen=True)
class Answer:
    """One line on top of the page.

    Attributes
    ----------
    topic
        What it is about; empty where the page is about one thing.
    sentence
        What was found.
    """

    topic: str
    sentence: str


def meaning(verdict: Verdict, *, has_terms: bool = True) -> Meaning | None:
    """What a verdict means, of a model with terms or of a calculator without; None for questions that only describe."""
    known = MEANINGS.get(verdict.question)
    if not has_terms:
        known = _WITHOUT_TERMS.get(verdict.question, known)
    if known is None:
        return None
    outcome = str(verdict.outcome.value)
    return known.get(outcome) or _GENERAL.get(outcome) or known[_OPEN]


def summary_answers(verdicts: Sequence[Verdict], *, has_terms: bool = True) -> list[Answer]:
    """A line for every question that has an answer, in the order of the questions.

    Where findings decide, they speak for themselves: the one that decides, and before it one that agrees, if any.

    Examples
    --------
    >>> from atomlens.analyses import Outcome, Verdict
    >>> for outcome in (Outcome.AGREES, Outcome.NOT_APPLICABLE):
    ...     print(summary_answers([Verdict("species", outcome, "rank correlation 0.9", ())]))
    [Answer(topic='Bonds', sentence='This model has learned which bonds are strong: its pair terms follow chemistry.')]
    []
    """
    answers = []
    for verdict in verdicts:
        found = meaning(verdict, has_terms=has_terms)
        general = [_given(verdict), found.short if found else ""]
        sentence = _decided(verdict) or " ".join(filter(None, general))
        if sentence:
            answers.append(Answer(_TOPICS.get(verdict.question, ""), sentence))
    return answers


def _decided(verdict: Verdict) -> str:
    """What the findings that decide say, in up to two sentences."""
    if verdict.question not in _TOPICS:
        return ""
    first = {outcome: _first(verdict, outcome) for outcome in (Outcome.AGREES, Outcome.DEVIATES)}
    agrees, deviates = first[Outcome.AGREES], first[Outcome.DEVIATES]
    if verdict.outcome is Outcome.AGREES and agrees:
        return agrees.answer + _reservation(verdict, agrees)
    if verdict.outcome is not Outcome.DEVIATES or not deviates:
        return ""
    said = deviates.answer
    if not agrees:
        return said
    # Names keep their capitals.
    rest = said[0].lower() + said[1:] if said[1:2].islower() else said
    return f"{agrees.answer} But: {rest}"


def _reservation(verdict: Verdict, finding: Finding) -> str:
    """What limits an agreement: a baseline that agrees as well, and expectations that were not decided."""
    said, effect = "", finding.effect
    for control in finding.controls:
        beyond = control.value > finding.threshold if finding.allowed.startswith("above") else False
        beyond = control.value < finding.threshold if finding.allowed.startswith("below") else beyond
        if effect is not None and beyond and not control.is_null:
            numbers = minus_signs(f"{control.value:.3g}, the model {effect.value:.3g}")
            said += f" But {control.name} scores {numbers} (expected: {finding.allowed})."
    found = [one.outcome for one in verdict.findings if one.decides]
    undecided, answered = found.count(Outcome.CANNOT_TELL), found.count(Outcome.AGREES)
    if undecided > answered:
        said += f" Of {undecided + answered} expectations {undecided} could not be decided."
    return said


def _given(verdict: Verdict) -> str:
    """What read-out or architecture decides, where nothing else does."""
    known = MEANINGS.get(verdict.question, {}).get(Outcome.BY_CONSTRUCTION.value)
    given = verdict.outcome is Outcome.CANNOT_TELL and _first(verdict, Outcome.BY_CONSTRUCTION)
    return known.short if known and given else ""


def _first(verdict: Verdict, outcome: Outcome) -> Finding | None:
    return next((finding for finding in verdict.findings if finding.outcome is outcome and finding.decides), None)


def counted(verdicts: Sequence[Verdict]) -> str:
    """How many questions came out how; empty for one alone, and for what is no question about what a model learned.

    Examples
    --------
    >>> made = [Verdict("decay", Outcome(name), "", ()) for name in ("agrees", "deviates", "deviates")]
    >>> counted(made)
    '3 questions: the model agrees with what is known in 1 and deviates in 2.'
    """
    if len(verdicts) < 2 or not all(verdict.question in _TOPICS for verdict in verdicts):
        return ""
    of = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
    rest = len(verdicts) - of[Outcome.AGREES] - of[Outcome.DEVIATES]
    known = f"the model agrees with what is known in {of[Outcome.AGREES]} and deviates in {of[Outcome.DEVIATES]}"
    return f"{len(verdicts)} questions: {known}{f'; {rest} without an answer' if rest else ''}."
