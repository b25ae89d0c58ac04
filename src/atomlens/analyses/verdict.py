"""What an analysis says in the end: findings with an effect, an interval and controls, and one verdict over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

_WHY = "This cannot be decided:"


class Outcome(StrEnum):
    """How a model stands against what is known."""

    AGREES = "agrees"
    DEVIATES = "deviates"
    CANNOT_TELL = "cannot tell"


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
        Limits of the 95 % bootstrap interval over molecules; NaN where too few molecules allow none.
    n
        Number of molecules (or dimers, clusters) that it rests on.
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

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        interval = f" [{self.low:.3g}, {self.high:.3g}]" if self.has_interval else ""
        return f"{self.value:.3g}{interval}{unit}"


@dataclass(frozen=True)
class Control:
    """The same score where nothing was learned.

    Attributes
    ----------
    name
        ``shuffled terms``, ``untrained model``, ``distance alone``, ...
    value
        The score of the control, in the unit of the effect.
    is_null
        True where a score like the model's own would make the finding meaningless (shuffled, untrained); False for
        a baseline that is told next to it (distance alone).
    """

    name: str
    value: float
    is_null: bool = True


@dataclass(frozen=True)
class Finding:
    """One claim held against the model.

    Attributes
    ----------
    claim
        What chemistry expects, one sentence.
    outcome
        Whether the model agrees.
    sentence
        What came out, one sentence with its numbers; a second one says why nothing can be told, where that is so.
    effect
        The measured number; None where nothing could be measured.
    threshold
        The value that the effect is held against; NaN where there is none.
    controls
        Scores of the controls.
    reference
        Where the expectation comes from.
    """

    claim: str
    outcome: Outcome
    sentence: str
    effect: Effect | None = None
    threshold: float = math.nan
    controls: tuple[Control, ...] = ()
    reference: str = ""

    def __post_init__(self) -> None:
        """Say why nothing can be told, wherever the sentence is shown."""
        if self.outcome is not Outcome.CANNOT_TELL or self.effect is None or _WHY in self.sentence:
            return
        if why := undecided(self.effect, self.threshold, self.controls):
            object.__setattr__(self, "sentence", f"{self.sentence} {_WHY} {why}.")


@dataclass(frozen=True)
class Verdict:
    """Answer to one question.

    Attributes
    ----------
    question
        Short name of the question ("species").
    outcome
        *deviates* if any finding that decides does, else *agrees* if any does, else *cannot tell*.
    sentence
        The answer in one sentence.
    findings
        The claims, one by one; those that decide nothing come last.
    """

    question: str
    outcome: Outcome
    sentence: str
    findings: tuple[Finding, ...]


def decide(effect: Effect, threshold: float, controls: tuple[Control, ...] = (), *, above: bool = True) -> Outcome:
    r"""Outcome of a score that should lie above (or below) a threshold.

    *agrees* if the whole interval lies on the expected side and every null control lies on the other side of the
    interval; *deviates* if the whole interval lies on the wrong side; *cannot tell* otherwise: no interval, one that
    holds the threshold, or a null control that scores as well.

    Parameters
    ----------
    effect
        The score with its interval.
    threshold
        What it is held against.
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
    controlled = all(sign * control.value < near for control in controls if control.is_null)
    return Outcome.AGREES if near > sign * threshold and controlled else Outcome.CANNOT_TELL


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
        Findings about something else than the model in question: told after the others, they decide nothing.
    """
    told = (*findings, *beside)
    for outcome in (Outcome.DEVIATES, Outcome.AGREES, Outcome.CANNOT_TELL):
        for finding in findings:
            if finding.outcome is outcome:
                return Verdict(question, outcome, sentence or finding.sentence, told)
    return Verdict(question, Outcome.CANNOT_TELL, sentence or "nothing could be measured", told)


def cannot_tell(claim: str, reason: str, reference: str = "") -> Finding:
    """A finding that could not be made, with the reason."""
    return Finding(claim, Outcome.CANNOT_TELL, reason, reference=reference)
