"""Claims about a model, and how a measured number becomes a finding in three parts.

A sentence says what was asked, what came out with number and interval, and what that means to users of the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from atomlens.analyses.statistics import MIN_MOLECULES
from atomlens.analyses.verdict import DECIDES_NOTHING, Control, Effect, Finding, Outcome, decide, decide_within


@dataclass(frozen=True)
class Claim:
    """One claim, and what its answers mean.

    Attributes
    ----------
    text
        What chemistry expects, one sentence.
    asked
        The same as a question.
    agrees, deviates
        What the answer means to users of the model, one sentence each.
    reference
        Where the expectation comes from.
    threshold
        What the score is compared with.
    band
        Where the score must lie, for claims with two limits; `threshold` plays no part then.
    above
        Whether the score must lie above the threshold, or below.
    counted
        What the interval is over.
    """

    text: str
    asked: str
    agrees: str
    deviates: str
    reference: str = ""
    threshold: float = math.nan
    band: tuple[float, float] | None = None
    above: bool = True
    counted: str = "structures"

    @property
    def allowed(self) -> str:
        """What the score must be, in words."""
        if self.band is not None:
            return f"{_number(self.band[0])} to {_number(self.band[1])}"
        return f"{'above' if self.above else 'below'} {_number(self.threshold)}"

    def decide(self, effect: Effect, controls: tuple[Control, ...] = ()) -> Outcome:
        """Outcome of a score."""
        if self.band is not None:
            return decide_within(effect, self.band, controls)
        return decide(effect, self.threshold, controls, above=self.above)


def judge_claim(
    claim: Claim,
    effect: Effect,
    controls: tuple[Control, ...] = (),
    *,
    outcome: Outcome | None = None,
    why: str = "",
    more: str = "",
) -> Finding:
    """The finding of a claim.

    Parameters
    ----------
    claim
        The claim.
    effect, controls
        What was measured, and the same where nothing was learned.
    outcome
        The outcome where it does not follow from these alone.
    why
        Why it is that outcome; the reason is found where it follows from the effect.
    more
        Other numbers, a clause.
    """
    found = outcome or claim.decide(effect, controls)
    number = f"{measured(claim, effect)}{'; ' if more else ''}{more}."
    means = {Outcome.AGREES: claim.agrees, Outcome.DEVIATES: claim.deviates}.get(found, "")
    if found not in (Outcome.AGREES, Outcome.DEVIATES) and not why:
        why = f"{DECIDES_NOTHING} {_open(claim, effect, controls)}."
    answer = " ".join(part for part in (means, why) if part)
    threshold = claim.threshold if claim.band is None else claim.band[1]
    sentence = f"{claim.asked} {number} {answer}"
    return Finding(
        claim.text, found, sentence, effect, threshold, controls, claim.reference, answer, allowed=claim.allowed
    )


def measured(claim: Claim, effect: Effect) -> str:
    """The score with its interval, what is allowed, and how many units it rests on."""
    return f"{effect.named} in {effect.n} {claim.counted} (expected: {claim.allowed})"


def describe(claim: Claim, effect: Effect, why: str, controls: tuple[Control, ...] = ()) -> Finding:
    """A number without a verdict: what it is, and why it is not judged."""
    number = f"{effect.named} in {effect.n} {claim.counted}."
    sentence = f"{claim.asked} {number} {why}"
    return Finding(claim.text, Outcome.DESCRIPTIVE, sentence, effect, math.nan, controls, claim.reference)


def _open(claim: Claim, effect: Effect, controls: tuple[Control, ...]) -> str:
    """Why a score decides nothing."""
    if not effect.has_interval:
        if effect.n < MIN_MOLECULES:
            return f"there is no interval over fewer than {MIN_MOLECULES} {claim.counted}"
        return "too many draws give no number, so that there is no interval"
    without = claim.decide(effect, ())
    if without is Outcome.AGREES:
        nulls = [c.name for c in controls if c.is_null and claim.decide(effect, (c,)) is not Outcome.AGREES]
        return f"{' and '.join(nulls)}, where nothing was learned, may score as well"
    limits = [limit for limit in claim.band or (claim.threshold,) if effect.low <= limit <= effect.high]
    named = " and ".join(_number(limit) for limit in limits)
    return f"the interval includes the limit{'s' if len(limits) > 1 else ''} {named}".rstrip()


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
