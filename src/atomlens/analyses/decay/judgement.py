"""What the scores of decay say about physics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from atomlens.analyses.decay.distance_range import Range
from atomlens.analyses.pair_scores import Score
from atomlens.analyses.statistics import MIN_MOLECULES
from atomlens.analyses.verdict import Effect, Finding, Outcome, cannot_tell, decide

# Tolerances are our choice: exponents within one, an edge below half, one dimer in ten, a rank correlation of a half.
_EXPONENT, _EDGE, _FLIPS, _CURVES = 1.0, 0.5, 0.1, 0.5

_LAWS = "electrostatics, induction and dispersion fall as powers of distance (J. Phys. Condens. Matter 21, 333102)"
_COUPLINGS = "GFN2-xTB response couplings of the same pairs (central differences)"
_ENERGIES = "GFN2-xTB interaction energies of the same dimers"


def findings(
    scores: Mapping[str, Score],
    laws: Mapping[str, Effect],
    where: Range,
    failures: Mapping[str, Mapping[str, int]],
) -> tuple[Finding, ...]:
    """One finding a claim, in the order of the page."""

    def made(
        claim: str, key: str, threshold: float, reference: str, *, above: bool = False, any_property: bool = False
    ) -> Finding:
        score = scores[key]
        if score.missing:
            return cannot_tell(claim, score.missing + _why(failures, key), reference)
        told = f"{score.effect.name}: {score.effect} in {score.effect.n} molecules or dimers"
        parts = (score.effect, threshold, score.controls, reference)
        if not (where.is_energy or any_property):
            reason = f"these are laws of energies, and the model predicts {where.quantity}; {told}"
            return Finding(claim, Outcome.CANNOT_TELL, reason, *parts)
        if not score.effect.has_interval:
            return Finding(claim, Outcome.CANNOT_TELL, f"no interval: {told}, {MIN_MOLECULES} are needed", *parts)
        outcome = decide(score.effect, threshold, score.controls, above=above)
        return Finding(claim, outcome, f"{told}, held against {threshold:g}{_alone(where)}", *parts)

    return (
        _law(
            made("Non-bonded pair terms fall as a power of distance, not exponentially", "law", 0.0, _LAWS, above=True),
            laws,
            where,
        ),
        made("Pair terms fall with the exponent of the reference", "exponent", _EXPONENT, _COUPLINGS),
        made("Response couplings fall with the exponent of the reference", "exponent_response", _EXPONENT, _COUPLINGS),
        made("Terms of two molecules fall with the exponent of the reference", "dimer_exponent", _EXPONENT, _ENERGIES),
        _growth(made("Pair terms fall everywhere, as the reference does", "growth", 0.0, _COUPLINGS)),
        made("Terms of two molecules keep their sign where the reference does", "sign", _FLIPS, _ENERGIES),
        _share(
            made("The cutoff does not cut the tail short", "steepening", -_EXPONENT, _COUPLINGS, above=True),
            scores["cutoff_share"],
        ),
        made(
            "Terms go to zero at the cutoff without an edge",
            "edge",
            _EDGE,
            "the cutoff is the model's own",
            any_property=True,
        ),
        made(
            "Terms of two molecules follow benchmark curves",
            "s66x8",
            _CURVES,
            "S66x8, ωB97x/6-31G* (COMP6)",
            above=True,
        ),
    )


def _law(finding: Finding, laws: Mapping[str, Effect], where: Range) -> Finding:
    """The law told next to the reference's own: where that is no power either, the model cannot be blamed."""
    if finding.effect is None:
        return finding
    known = {
        name: laws[key]
        for key, name in (("gfn2_response", "GFN2 couplings"), ("d4", "D4 pair energies"))
        if key in laws
    }
    told = [f"{name} {effect}" for name, effect in known.items() if math.isfinite(effect.value)]
    sentence = f"{finding.sentence}; from {where}" + (f"; references: {', '.join(told)}" if told else "")
    outcome = finding.outcome
    reference = known["GFN2 couplings"]
    if outcome is Outcome.DEVIATES and not (reference.has_interval and reference.low > 0):
        outcome = Outcome.CANNOT_TELL
        sentence += "; in this range the reference is no clear power of distance itself"
    return replace(finding, outcome=outcome, sentence=sentence)


def _growth(finding: Finding) -> Finding:
    """Growth counts only where the reference does not grow as much."""
    known = next((control.value for control in finding.controls if not control.is_null), math.nan)
    if finding.effect is None or not math.isfinite(known):
        return finding
    sentence = f"{finding.sentence}; of GFN2 couplings {known:.3g}"
    if finding.outcome is Outcome.DEVIATES and known >= finding.effect.low:
        return replace(finding, outcome=Outcome.CANNOT_TELL, sentence=f"{sentence}: the reference grows as well")
    return replace(finding, sentence=sentence)


def _share(finding: Finding, score: Score) -> Finding:
    """What is left before the cutoff, told next to the steepening."""
    if finding.effect is None or score.missing:
        return finding
    others = ", ".join(f"{control.name} {control.value:.2g}" for control in score.controls)
    return replace(finding, sentence=f"{finding.sentence}; {score.effect.name}: {score.effect} ({others})")


def _why(failures: Mapping[str, Mapping[str, int]], key: str) -> str:
    """The commonest reason of a reference that failed."""
    sources = {
        "exponent": ("gfn2_response",),
        "exponent_response": ("model_response", "gfn2_response"),
        "steepening": ("gfn2_response",),
        "dimer_exponent": ("dimers",),
        "sign": ("dimers",),
    }
    for source in sources.get(key, ()):
        if reasons := failures.get(source):
            return f" ({max(reasons, key=lambda reason: reasons[reason])})"
    return ""


def _alone(where: Range) -> str:
    return "; all structures are one molecule, so this speaks of that molecule alone" if where.formulas == 1 else ""
