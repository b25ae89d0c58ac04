"""What the scores of decay say about physics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from atomlens.analyses.claims import Claim, describe, judge_claim
from atomlens.analyses.decay.distance_range import DecayRange
from atomlens.analyses.pair_scores import Score
from atomlens.analyses.verdict import Effect, Finding, Outcome, cannot_tell, decide, not_applicable, sentence_case

# Tolerances are our choice: exponents within one, an edge below half, one dimer in ten, a rank correlation of a half.
_EXPONENT, _EDGE, _FLIPS, _CURVES = 1.0, 0.5, 0.1, 0.5
# A gain below this is negligible: one law is as good as the other.
NEGLIGIBLE = 0.01

_LAWS = "electrostatics, induction and dispersion fall as powers of distance (J. Phys. Condens. Matter 21, 333102)"
_COUPLINGS = "GFN2-xTB response couplings of the same pairs (central differences)"
_ENERGIES = "GFN2-xTB interaction energies of the same dimers"
_OF_DIMERS = "dimers"

CLAIMS = {
    "law": Claim(
        "Non-bonded pair terms fall as a power of distance, not exponentially",
        "Do non-bonded pair terms fall as powers of distance, and not exponentially?",
        "Over this range terms carry the long-range law of the reference.",
        "Terms die out faster than the reference's: do not trust interactions between distant atoms.",
        _LAWS,
        # Deviating needs as much on the other side (`_preference`).
        NEGLIGIBLE,
    ),
    "exponent": Claim(
        "Exponent of pair terms",
        "How fast do pair terms fall?",
        "",
        "",
        _COUPLINGS,
    ),
    "exponent_response": Claim(
        "Response couplings fall with the exponent of the reference",
        "Does the force on one atom answer to another's displacement as in GFN2, over distance?",
        "Forces feel distant atoms about as they should.",
        "Forces feel distant atoms too much (positive) or too little (negative): check dynamics of large systems.",
        _COUPLINGS,
        band=(-_EXPONENT, _EXPONENT),
    ),
    "dimer_exponent": Claim(
        "Terms of two molecules fall with the exponent of the reference",
        "Do terms of two molecules fall as their interaction energy does in GFN2?",
        "Terms between molecules carry the tail of the interaction.",
        "The tail between molecules is wrong: do not trust binding at a distance.",
        _ENERGIES,
        band=(-_EXPONENT, _EXPONENT),
        counted=_OF_DIMERS,
    ),
    "growth": Claim(
        "Pair terms fall everywhere, as the reference does",
        "Do pair terms fall at every distance of the range?",
        "No distance has terms that grow outwards.",
        "At some distance terms grow outwards: the model has an artefact there.",
        _COUPLINGS,
        0.0,
        above=False,
    ),
    "sign": Claim(
        "Terms of two molecules keep their sign where the reference does",
        "Do terms of two molecules keep their sign where GFN2's energy does?",
        "Attraction stays attraction as molecules part.",
        "Attraction turns into repulsion, or back, as molecules part: do not trust forces between molecules.",
        _ENERGIES,
        _FLIPS,
        above=False,
        counted=_OF_DIMERS,
    ),
    "steepening": Claim(
        "Steepening before the cutoff",
        "Do terms steepen in the last 0.5 Å before the cutoff, beyond what GFN2's couplings do?",
        "",
        "",
        _COUPLINGS,
    ),
    "pair_forces": Claim(
        "Pair forces over distance",
        "How do pair forces (of one atom's energy on another atom) go with distance?",
        "",
        "",
        "F_ij = -dE_j/dR_i, arXiv:2605.28960",
    ),
    "edge": Claim(
        "Terms go to zero at the cutoff without an edge",
        "Do terms go to zero at the cutoff?",
        "",
        "Terms jump at the cutoff: so do forces, and energy is not conserved.",
        "the cutoff is the model's own",
        _EDGE,
        above=False,
    ),
    "s66x8": Claim(
        "Terms of two molecules follow benchmark curves",
        "Do terms of two molecules follow the curves of S66x8?",
        "Terms rank interactions of small molecules as the benchmark does.",
        "Do not read terms between molecules as interaction energies.",
        "S66x8, ωB97x/6-31G* (COMP6)",
        _CURVES,
        counted=_OF_DIMERS,
    ),
}


# What is said of terms; of an ASE calculator, which has none, energies of two molecules take their place.
_OF_TERMS = ("law", "exponent", "growth", "steepening", "pair_forces", "edge")
_ENERGY_CLAIMS = {
    "dimer_exponent": replace(
        CLAIMS["dimer_exponent"],
        text="Interaction energies of two molecules fall with the exponent of the reference",
        asked="Do interaction energies of two molecules fall as they do in GFN2?",
        agrees="Energies between molecules carry the tail of the interaction.",
    ),
    "sign": replace(
        CLAIMS["sign"],
        text="Interaction energies of two molecules keep their sign where the reference does",
        asked="Do interaction energies of two molecules keep their sign where GFN2's do?",
    ),
    "s66x8": replace(
        CLAIMS["s66x8"],
        text="Interaction energies of two molecules follow benchmark curves",
        asked="Do interaction energies of two molecules follow the curves of S66x8?",
        agrees="Energies rank interactions of small molecules as the benchmark does.",
        deviates="Do not trust energies between molecules.",
    ),
}


def findings(
    scores: Mapping[str, Score],
    laws: Mapping[str, Effect],
    where: DecayRange,
    failures: Mapping[str, Mapping[str, int]],
) -> tuple[Finding, ...]:
    """One finding per claim, in the order of the page."""
    claims = CLAIMS if where.has_terms else CLAIMS | _ENERGY_CLAIMS
    return tuple(_finding(key, claim, scores, laws, where, failures) for key, claim in claims.items())


def _finding(
    key: str,
    claim: Claim,
    scores: Mapping[str, Score],
    laws: Mapping[str, Effect],
    where: DecayRange,
    failures: Mapping[str, Mapping[str, int]],
) -> Finding:
    if not where.has_terms and key in _OF_TERMS:
        return not_applicable(claim.text, f"{claim.asked} An ASE calculator has no terms.", claim.reference)
    score = scores[key]
    number = "" if score.missing else f" ({score.effect.name}: {score.effect})"
    if not where.is_energy and key != "edge":
        reason = f"{claim.asked} These are laws of energies, and the model predicts {where.quantity}{number}."
        found = not_applicable(claim.text, reason, claim.reference)
        return replace(found, effect=None if score.missing else score.effect)
    if score.missing:
        made = not_applicable if score.inapplicable else cannot_tell
        return made(claim.text, f"{claim.asked} {score.missing}{_why(failures, key)}.", claim.reference)
    if key == "law":
        found = _law(claim, score, scores, laws, where)
    elif key == "exponent":
        why = "Not judged: a term is an energy and a coupling a second derivative, whose exponents differ."
        found = describe(claim, score.effect, f"{sentence_case(_beside(score))}, from {where}. {why}", score.controls)
    elif key == "growth":
        found = _growth(claim, score, where)
    elif key == "steepening":
        share = scores["cutoff_share"]
        left = "" if share.missing else f" {share.effect.named} ({_beside(share)})."
        why = "Not judged: the cutoff function bends every term to zero there."
        found = describe(claim, score.effect, f"{sentence_case(_beside(score))}. {why}{left}", score.controls)
    elif key == "pair_forces":
        why = "Not judged: no reference divides its energy over atoms in the same way."
        found = describe(claim, score.effect, f"{sentence_case(_beside(score))}. {why}", score.controls)
    elif key == "edge":
        found = _edge(claim, score)
    else:
        known = _value(score, "GFN2's exponent")
        more = f"GFN2's exponent {known:.3g}, from {where}" if math.isfinite(known) else ""
        outcome, why = claim.decide(score.effect, score.controls), ""
        if outcome is Outcome.AGREES and abs(known) <= _EXPONENT:
            outcome = Outcome.CANNOT_TELL
            why = "This decides nothing: the reference hardly falls here, so that no decay at all would agree."
        found = judge_claim(claim, score.effect, score.controls, outcome=outcome, why=why, more=more)
    alone = where.formulas == 1 and found.outcome in (Outcome.AGREES, Outcome.DEVIATES) and key != "s66x8"
    return (
        replace(found, sentence=f"{found.sentence} All structures are one molecule: of it alone.") if alone else found
    )


def _law(
    claim: Claim, score: Score, scores: Mapping[str, Score], laws: Mapping[str, Effect], where: DecayRange
) -> Finding:
    """Law of terms that fall, where the reference's own is a power.

    Without a reference that decides, neither answer is one: where GFN2's couplings are no clear power themselves, the
    range is too short to tell, and a model that follows them cannot be blamed.
    """
    falls, reference = scores["falls"].effect, scores["reference_law"].effect
    shown = [
        f"{name} {laws[key]}"
        for key, name in (("gfn2_response", "GFN2 couplings"), ("d4", "D4 pair energies"))
        if key in laws and math.isfinite(laws[key].value)
    ]
    more = f"from {where}; exponent {falls}" + (f"; the same of {', '.join(shown)}" if shown else "")
    outcome, why = _preference(score.effect), ""
    if outcome is Outcome.CANNOT_TELL and score.effect.has_interval:
        why = (
            f"This decides nothing: a gain within {NEGLIGIBLE:g} nats is negligible, and the interval holds such gains."
        )
    elif outcome is not Outcome.CANNOT_TELL:
        if not (falls.has_interval and falls.high < 0):
            outcome, why = Outcome.CANNOT_TELL, "This decides nothing: it is not shown that terms fall over this range."
        elif not (reference.has_interval and reference.low > 0):
            outcome = Outcome.CANNOT_TELL
            why = "This decides nothing: over this range the reference is no clear power of distance itself."
        elif outcome is Outcome.AGREES and decide(score.effect, NEGLIGIBLE, score.controls) is not Outcome.AGREES:
            outcome, why = Outcome.CANNOT_TELL, "This decides nothing: terms that were not learned may score as well."
    return judge_claim(claim, score.effect, score.controls, outcome=outcome, why=why, more=more)


def _preference(effect: Effect) -> Outcome:
    """Which law a gain speaks for, beyond what is negligible."""
    if not effect.has_interval:
        return Outcome.CANNOT_TELL
    if effect.low > NEGLIGIBLE:
        return Outcome.AGREES
    return Outcome.DEVIATES if effect.high < -NEGLIGIBLE else Outcome.CANNOT_TELL


def _growth(claim: Claim, score: Score, where: DecayRange) -> Finding:
    """Growth and fall both count only where the reference does not contradict.

    How steep a window of noise is says nothing: what counts of terms that were not learned is whether they fall
    everywhere, too, in 95 % of the draws or seeds.
    """
    known = _value(score, "GFN2 couplings")
    outcome, why = claim.decide(score.effect), ""
    trivial = [control.name for control in score.controls if control.is_null and control.best(above=True) < 0]
    more = f"of GFN2 couplings {known:.3g}" if math.isfinite(known) else "no GFN2 couplings"
    if outcome is Outcome.DEVIATES and known >= score.effect.low:
        outcome, why = Outcome.CANNOT_TELL, "This decides nothing: the reference grows as well."
    elif outcome is Outcome.AGREES and trivial:
        outcome, why = Outcome.CANNOT_TELL, f"This decides nothing: {' and '.join(trivial)} fall everywhere, too."
    elif outcome is Outcome.AGREES and known >= 0:
        outcome, why = Outcome.CANNOT_TELL, "This decides nothing: the reference does not fall everywhere itself."
    elif outcome is not Outcome.CANNOT_TELL and not math.isfinite(known):
        outcome, why = Outcome.CANNOT_TELL, "This decides nothing without a reference."
    return judge_claim(claim, score.effect, score.controls, outcome=outcome, why=why, more=f"{more}, from {where}")


def _edge(claim: Claim, score: Score) -> Finding:
    if claim.decide(score.effect) is Outcome.DEVIATES:
        return judge_claim(claim, score.effect, score.controls)
    why = "The cutoff function leads every term to zero, whatever the weights: given by the architecture, not learned."
    return judge_claim(claim, score.effect, score.controls, outcome=Outcome.BY_CONSTRUCTION, why=why)


def _beside(score: Score) -> str:
    return ", ".join(f"{control.name} {control.value:.3g}" for control in score.controls)


def _value(score: Score, name: str) -> float:
    return next((control.value for control in score.controls if control.name == name), math.nan)


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
