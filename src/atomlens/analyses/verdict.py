"""What an analysis says in the end: findings with an effect, an interval and controls, and one verdict over them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

# Of the controls of one kind, this share must score worse than the model.
CONTROL_QUANTILE = 0.95
# How the reason starts in the sentence of what cannot be decided.
DECIDES_NOTHING = "This decides nothing:"


class Outcome(StrEnum):
    """How a model compares with what is known.

    The first three are answers. The others give none, each for its own reason: ``by construction`` holds for this
    read-out or architecture whatever the weights; ``not applicable`` means nothing for this property, architecture or
    read-out; ``descriptive`` is a number that could not tell a perfect model from one without any law.
    """

    AGREES = "agrees"
    DEVIATES = "deviates"
    CANNOT_TELL = "cannot tell"
    BY_CONSTRUCTION = "by construction"
    NOT_APPLICABLE = "not applicable"
    DESCRIPTIVE = "descriptive"


# In the order in which one finding decides over the others.
_ORDER = (
    Outcome.DEVIATES,
    Outcome.AGREES,
    Outcome.CANNOT_TELL,
    Outcome.BY_CONSTRUCTION,
    Outcome.NOT_APPLICABLE,
)


@dataclass(frozen=True)
class Effect:
    """A number with its uncertainty.

    Attributes
    ----------
    name
        What was measured ("Spearman correlation of pair strength with bond order").
    value
        The estimate; NaN where there is none.
    low, high
        Limits of the 95 % interval; NaN where too few units allow none.
    n
        Number of units that the interval is over: molecules, dimers, clusters, classes of bonds.
    unit
        Its unit; "" for a pure number.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    unit: str = ""

    @property
    def has_interval(self) -> bool:
        """Whether both limits are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def named(self) -> str:
        """Its name, and the number with interval and unit."""
        return f"{sentence_case(self.name)}: {self}"

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        interval = f" [{self.low:.3g}, {self.high:.3g}]" if self.has_interval else ""
        return minus_signs(f"{self.value:.3g}{interval}{unit}")


@dataclass(frozen=True)
class Control:
    """The same score where nothing was learned.

    Attributes
    ----------
    name
        ``shuffled terms``, ``untrained model``, ``distance alone``, ...
    value
        The score of the control, in the unit of the effect; the median where there are several.
    is_null
        True where a score like the model's own would make the finding meaningless (shuffled, untrained); False for
        a baseline that is shown next to it (distance alone).
    values
        The scores of all draws or seeds, where there are several.
    """

    name: str
    value: float
    is_null: bool = True
    values: tuple[float, ...] = ()

    def best(self, *, above: bool) -> float:
        """Score that 95 % of the draws stay below (or above); the value itself where there is one draw."""
        known = [value for value in self.values if math.isfinite(value)]
        if not known:
            return self.value
        return float(np.quantile(known, CONTROL_QUANTILE if above else 1.0 - CONTROL_QUANTILE))


def control_of(name: str, values: list[float], *, is_null: bool = True) -> Control:
    """A control from the scores of several draws or seeds; those without a score (NaN) are left out.

    Examples
    --------
    >>> control_of("untrained model", [0.1, 0.3, math.nan, 0.2]).value
    0.2
    """
    known = tuple(float(value) for value in values if math.isfinite(value))
    return Control(name, float(np.median(known)) if known else math.nan, is_null, known)


@dataclass(frozen=True)
class Finding:
    """One claim about the model.

    Attributes
    ----------
    claim
        What chemistry expects, one sentence.
    outcome
        Whether the model agrees.
    sentence
        What was asked, what came out with its number and interval, and what that means for users of the model.
    effect
        The measured number; None where nothing could be measured.
    threshold
        The value that the effect is compared with; NaN where there is none.
    controls
        Scores of the controls.
    reference
        Where the expectation comes from.
    allowed
        What the score should be, in words ("0.5 to 2"); empty where nothing is expected.
    answer
        What the outcome means to users, or the reason why there is none: the last part of the sentence. The sentence
        without its question where none is given.
    decides
        Whether it enters the verdict; false for what concerns something else than the model in question.
    """

    claim: str
    outcome: Outcome
    sentence: str
    effect: Effect | None = None
    threshold: float = math.nan
    controls: tuple[Control, ...] = ()
    reference: str = ""
    answer: str = ""
    decides: bool = True
    allowed: str = ""

    def __post_init__(self) -> None:
        """Say why nothing can be said, wherever the sentence is shown."""
        sentence, answer = self.sentence, self.answer or without_question(self.sentence)
        if self.outcome is Outcome.CANNOT_TELL and self.effect is not None and DECIDES_NOTHING not in sentence:
            why = undecided(self.effect, self.threshold, self.controls)
            reason = f" {DECIDES_NOTHING} {why}." if why else ""
            sentence, answer = sentence + reason, answer + reason
        object.__setattr__(self, "sentence", minus_signs(sentence))
        object.__setattr__(self, "answer", minus_signs(answer))

    @property
    def number(self) -> str:
        """What came out in numbers: the sentence without its question and its answer."""
        return without_question(self.sentence).removesuffix(self.answer).strip()


@dataclass(frozen=True)
class Verdict:
    """Answer to one question.

    Attributes
    ----------
    question
        Short name of the question ("species").
    outcome
        The first of *deviates*, *agrees*, *cannot tell*, *by construction*, *not applicable* that any finding has that
        decides; descriptive findings do not decide.
    sentence
        The answer in one sentence.
    findings
        The claims, one by one; those that decide nothing come last.
    """

    question: str
    outcome: Outcome
    sentence: str
    findings: tuple[Finding, ...]


def sentence_case(text: str) -> str:
    """The text with a capital at its start, the rest as it is.

    Examples
    --------
    >>> sentence_case("scatter per 1 Å")
    'Scatter per 1 Å'
    """
    return text[:1].upper() + text[1:]


def minus_signs(text: str) -> str:
    """The text with a proper minus sign before every negative number.

    Examples
    --------
    >>> minus_signs("-8 [-10.7, -4.38] in 1-4 pairs of GFN2-xTB")
    '\N{MINUS SIGN}8 [\N{MINUS SIGN}10.7, \N{MINUS SIGN}4.38] in 1-4 pairs of GFN2-xTB'
    """
    return re.sub(r"(?<![\w.^\-])-(?=\d)", "\N{MINUS SIGN}", text)


def without_question(sentence: str) -> str:
    """A sentence without the question that it begins with, if any."""
    asked, mark, answer = sentence.partition("? ")
    return answer if mark else asked


def decide(effect: Effect, threshold: float, controls: tuple[Control, ...] = (), *, above: bool = True) -> Outcome:
    r"""Outcome of a score that should lie above (or below) a threshold.

    *agrees* if the whole interval lies on the expected side and beyond every null control; *deviates* if the whole
    interval lies on the wrong side; *cannot tell* otherwise: no interval, one that holds the threshold, or a null
    control that scores as well. A control of several draws or seeds is passed if the score itself is beyond 95 % of
    them, and the interval beyond their median: both scatter, and the interval must not pay for the scatter of both.

    Parameters
    ----------
    effect
        The score with its interval.
    threshold
        What it is compared with.
    controls
        Scores of the controls; baselines (``is_null=False``) do not count here.
    above
        Whether chemistry expects a score above the threshold, or below.
    """
    if not effect.has_interval or not math.isfinite(threshold):
        return Outcome.CANNOT_TELL
    sign = 1.0 if above else -1.0
    near, far = sorted((sign * effect.low, sign * effect.high))
    if far < sign * threshold:
        return Outcome.DEVIATES
    # A control without a score (NaN) shows nothing.
    controlled = all(
        sign * control.value < near and (not control.values or sign * control.best(above=above) < sign * effect.value)
        for control in controls
        if control.is_null
    )
    return Outcome.AGREES if near > sign * threshold and controlled else Outcome.CANNOT_TELL


def decide_within(effect: Effect, band: tuple[float, float], controls: tuple[Control, ...] = ()) -> Outcome:
    """Outcome of a score that should lie inside a band: `decide` on its distance from the middle.

    Examples
    --------
    >>> decide_within(Effect("slope", 1.0, 0.9, 1.1, 20), (0.5, 2.0))
    <Outcome.AGREES: 'agrees'>
    >>> decide_within(Effect("slope", 0.3, 0.2, 0.4, 20), (0.5, 2.0))
    <Outcome.DEVIATES: 'deviates'>
    """
    middle, half = (band[0] + band[1]) / 2, (band[1] - band[0]) / 2
    ends = (abs(effect.low - middle), abs(effect.high - middle))
    near = 0.0 if effect.low <= middle <= effect.high else min(ends)
    far = Effect(effect.name, abs(effect.value - middle), near, max(ends), effect.n)
    folded = tuple(
        replace(c, value=abs(c.value - middle), values=tuple(abs(v - middle) for v in c.values)) for c in controls
    )
    return decide(far, half, folded, above=False)


def undecided(effect: Effect, threshold: float, controls: tuple[Control, ...] = ()) -> str:
    """Why `decide` cannot tell, in words; empty where the numbers do not say.

    Examples
    --------
    >>> undecided(Effect("share", 0.8, 0.6, 0.9, 16), 0.75)
    'the 95 % interval, 0.6 to 0.9, includes the limit, 0.75'
    """
    if not math.isfinite(effect.value):
        return "nothing could be measured"
    if not effect.has_interval:
        return f"n = {effect.n} gives no interval"
    if not math.isfinite(threshold):
        return "there is nothing to compare it with"
    if effect.low <= threshold <= effect.high:
        return f"the 95 % interval, {effect.low:.3g} to {effect.high:.3g}, includes the limit, {threshold:.3g}"
    above = effect.low > threshold
    for control in controls:
        if control.is_null and (control.value >= effect.low if above else control.value <= effect.high):
            return f"{control.name}, where nothing was learned, scores as well ({control.value:.3g})"
    return ""


def conclude(
    question: str, findings: tuple[Finding, ...], sentence: str = "", beside: tuple[Finding, ...] = ()
) -> Verdict:
    """The verdict over findings; its sentence is that of the finding that decides, unless one is given.

    Parameters
    ----------
    question
        Short name of the question.
    findings
        What decides.
    sentence
        The answer in one sentence.
    beside
        Findings about something else than the model in question: shown after the others, they decide nothing.
    """
    shown = (*findings, *(replace(finding, decides=False) for finding in beside))
    for outcome in _ORDER:
        for finding in findings:
            if finding.outcome is outcome:
                return Verdict(question, outcome, sentence or finding.sentence, shown)
    return Verdict(question, Outcome.CANNOT_TELL, sentence or "nothing could be measured", shown)


def cannot_tell(claim: str, reason: str, reference: str = "") -> Finding:
    """A finding that could not be made, with the reason: other structures or references would decide."""
    return Finding(claim, Outcome.CANNOT_TELL, _sentence(reason), reference=reference)


def not_applicable(claim: str, reason: str, reference: str = "") -> Finding:
    """A claim that means nothing for this property, architecture or read-out, with the reason."""
    return Finding(claim, Outcome.NOT_APPLICABLE, _sentence(reason), reference=reference)


def _sentence(reason: str) -> str:
    """A reason as a sentence, which is how it stands alone on the terminal and on the page."""
    return sentence_case(reason) + ("" if reason.endswith((".", "?", "!")) else ".")
