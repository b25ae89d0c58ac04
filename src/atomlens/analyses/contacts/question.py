r"""Do interactions of two molecules follow those of benchmark dimers, from the wall to the tail?

Terms across two molecules, and the model's interaction energy :math:`E_{AB} - E_A - E_B`, ranked along curves of ten
distances; the energy of learned charges next to the electrostatics of DFT-SAPT.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import ase
import polars as pl

from atomlens.analyses.claims import Claim, describe, judge_claim
from atomlens.analyses.contacts.points import POINTS, dimer_points, known_curves
from atomlens.analyses.contacts.scores import charge_score, charge_slope, rank_score
from atomlens.analyses.inputs import AnalysisInputs, untrained_models
from atomlens.analyses.pair_scores import Score, is_energy, no_score
from atomlens.analyses.statistics import N_RESAMPLES
from atomlens.analyses.verdict import Control, Finding, Verdict, cannot_tell, conclude, not_applicable, sentence_case
from atomlens.reference import DimerCurve, gfn2_energy, read_nciatlas, sapt_file
from atomlens.surveys import Progress, evenly_spread, no_progress

SLUG = "contacts"
TITLE = "Contacts of two molecules"
# A quarter of the variance of ranks, as for other curves; four fifths of the variance of electrostatics.
_RANK, _CHARGES = 0.5, 0.9
_BENCHMARK = "CCSD(T)/CBS interaction energies of NCIAtlas"
_CURVES = "curves"
# Claims that an ASE calculator says nothing of.
_OF_TERMS = ("terms", "charges", "gfn2")

CLAIMS = {
    "terms": Claim(
        "Pair terms across two molecules follow benchmark curves.",
        "Do pair terms across two molecules follow CCSD(T), from the wall to the tail?",
        "Terms between atoms of two molecules show where a contact repels, binds and ends.",
        "Do not read terms between molecules as interactions of these molecules.",
        _BENCHMARK,
        _RANK,
        counted=_CURVES,
    ),
    "energy": Claim(
        "Interaction energies of the model follow benchmark curves.",
        "Do interaction energies of the model follow CCSD(T), from the wall to the tail?",
        "The model knows contacts of two molecules.",
        "The model does not know contacts of two molecules: do not simulate more than one.",
        _BENCHMARK,
        _RANK,
        counted=_CURVES,
    ),
    "charges": Claim(
        "Energies of learned charges are electrostatics.",
        "Is the energy of learned charges the electrostatics of DFT-SAPT, for ions from 1.5 equilibrium distances on?",
        "Learned charges may be read as charges.",
        "Learned charges are parameters of a fit: do not read them as charges.",
        "DFT-SAPT electrostatics (Masumian, Boese, J. Chem. Theory Comput. 2023) of ionic dimers of NCIAtlas",
        _CHARGES,
        counted=_CURVES,
    ),
    "gfn2": Claim(
        "Pair terms across two molecules next to GFN2-xTB",
        "Do pair terms across two molecules follow GFN2-xTB along the same curves?",
        "",
        "",
        "GFN2-xTB (Bannwarth et al., J. Chem. Theory Comput. 15, 1652, 2019)",
        counted=_CURVES,
    ),
}


@dataclass(frozen=True)
class ContactsResult:
    """What was measured on benchmark dimers.

    Attributes
    ----------
    property, unit
        What the model predicts.
    points
        One row per dimer and distance (`dimer_points`).
    scores
        What is judged, by claim.
    medians
        Median rank correlations with CCSD(T) that are shown and not judged: of the group term, and of GFN2.
    slope
        Of electrostatics against charge energies.
    n_curves
        Curves that the files hold; `points` has those that the model was asked about.
    left_out
        How many of them hold each element that the model does not know.
    n_left_out
        How many hold any such element, and were left out.
    is_energy
        Whether the property is an energy of the whole molecule.
    has_terms
        Whether it was asked about terms; an ASE calculator is asked about energies alone.
    """

    property: str
    unit: str
    points: pl.DataFrame
    scores: dict[str, Score]
    medians: dict[str, Score]
    slope: float
    n_curves: int
    left_out: dict[str, int]
    n_left_out: int
    is_energy: bool
    has_terms: bool = True


def compute(
    inputs: AnalysisInputs,
    *,
    progress: Progress = no_progress,
    energy: Callable[[ase.Atoms], float] | None = gfn2_energy,
    n_curves: int = 150,
    n_untrained: int = 12,
    n_resamples: int = N_RESAMPLES,
) -> ContactsResult:
    """Ask a model about the dimers of ``inputs.settings.dimers``.

    Parameters
    ----------
    inputs
        Model and settings; structures and tables are not needed.
    progress
        Called with what is being done.
    energy
        Another reference: a total energy in eV, GFN2-xTB by default; none if None.
    n_curves
        Curves of each set to ask about, evenly spread over those of elements that the model knows.
    n_untrained
        Curves that each untrained model is asked about; 0 for no such control.
    n_resamples
        Of the bootstrap.
    """
    seed = inputs.settings.seed
    curves = [curve for path in inputs.settings.dimers for curve in read_nciatlas(path)]
    asked = is_energy(inputs)
    known, left_out = known_curves(inputs.model, curves) if asked else ([], {})
    kept = _sampled(known, n_curves)
    reason = ""
    if not asked:
        reason = f"these are energies, and the model predicts {inputs.property}"
    elif not curves:
        reason = "no file of dimers was given (--dimers)"
    elif not known:
        reason = f"no dimer has elements that the model knows ({_strangers(left_out)} are unknown)"
    missing = {key: no_score(claim.text, reason, inapplicable=not asked) for key, claim in CLAIMS.items()}
    points, scores, medians, slope = pl.DataFrame(schema=POINTS), missing, {}, math.nan
    if kept:
        points, failed = dimer_points(inputs, kept, energy, progress)
        some = [kept[k] for k in evenly_spread(len(kept), n_untrained)]
        fresh = untrained_models(inputs.model, seed) if some else []
        untrained = [dimer_points(replace(inputs, model=model), some)[0] for model in fresh]
        scores = {"energy": rank_score(points, "interaction", "benchmark", untrained, seed=seed)}
        medians = {"gfn2": rank_score(points, "gfn2", "benchmark", seed=seed)}
        if inputs.model.facts.has_terms:
            scores |= {
                "terms": rank_score(points, "pair_terms", "benchmark", untrained, seed=seed),
                "charges": charge_score(points, untrained, seed=seed, n_resamples=n_resamples),
                "gfn2": rank_score(points, "pair_terms", "gfn2", seed=seed),
            }
            medians |= {
                "group_term": rank_score(points, "group_term", "benchmark", seed=seed),
                "interaction_gfn2": rank_score(points, "interaction", "gfn2", seed=seed),
            }
            slope = charge_slope(points)
            if scores["gfn2"].missing and failed:
                scores["gfn2"] = no_score(CLAIMS["gfn2"].text, failed)
            if scores["charges"].missing and not scores["charges"].inapplicable:
                lacking = _no_electrostatics(inputs, scores["charges"].missing)
                scores["charges"] = no_score(CLAIMS["charges"].text, lacking)
        else:
            reason = "an ASE calculator has neither terms nor charges to look at"
            scores |= {key: no_score(CLAIMS[key].text, reason, inapplicable=True) for key in _OF_TERMS}
    return ContactsResult(
        property=inputs.property,
        unit=inputs.unit,
        points=points,
        scores=scores,
        medians=medians,
        slope=slope,
        n_curves=len(curves),
        left_out=left_out,
        n_left_out=len(curves) - len(known) if asked else 0,
        is_energy=asked,
        has_terms=inputs.model.facts.has_terms,
    )


def _sampled(curves: list[DimerCurve], count: int) -> list[DimerCurve]:
    """So many of every set, evenly spread."""
    found: list[DimerCurve] = []
    for name in dict.fromkeys(curve.data_set for curve in curves):
        own = [curve for curve in curves if curve.data_set == name]
        found += [own[k] for k in evenly_spread(len(own), count)]
    return found


def judge(result: ContactsResult) -> Verdict:
    """Compare the model with CCSD(T) and DFT-SAPT."""
    return conclude(SLUG, tuple(_finding(key, claim, result) for key, claim in CLAIMS.items()))


def _finding(key: str, claim: Claim, result: ContactsResult) -> Finding:
    score = result.scores[key]
    if score.missing:
        made = not_applicable if score.inapplicable else cannot_tell
        return made(claim.text, f"{claim.asked} {sentence_case(score.missing)}.", claim.reference)
    if key == "charges":
        more = f"1 eV of charge energy is {result.slope:.2g} eV of electrostatics"
        return judge_claim(claim, score.effect, score.controls, more=more)
    if key == "gfn2":
        others = (("interaction_gfn2", "the model's interaction energies"), ("gfn2", "GFN2 itself and CCSD(T)"))
        beside = ", ".join(f"{name} {result.medians[of].effect}" for of, name in others)
        why = f"The same of {beside}. Not judged: GFN2 is a model as well; of a model trained on it, look at this."
        return describe(claim, score.effect, why, score.controls)
    shown = {"terms": (("group_term", "all walks between the two molecules"),), "energy": ()}[key]
    known = (*shown, ("gfn2", "GFN2-xTB"))
    baselines = tuple(
        Control(name, result.medians[of].effect.value, is_null=False)
        for of, name in known
        if not result.medians[of].missing
    )
    return judge_claim(claim, score.effect, (*score.controls, *baselines), more=_sets(result))


def _sets(result: ContactsResult) -> str:
    """Medians are over curves of several sets: which, and what was left out."""
    counted = result.points.group_by("data_set", maintain_order=True).agg(pl.col("curve").n_unique())
    text = ", ".join(f"{name.removeprefix('NCIA_')} {n}" for name, n in counted.iter_rows())
    if result.n_left_out:
        text += f"; {result.n_left_out} more have elements that the model does not know ({_strangers(result.left_out)})"
    return f"of them {text}"


def _strangers(left_out: dict[str, int]) -> str:
    return ", ".join(f"{symbol} in {n}" for symbol, n in left_out.items())


def _no_electrostatics(inputs: AnalysisInputs, reason: str) -> str:
    lacking = [sapt_file(path) for path in inputs.settings.dimers if not sapt_file(path).exists()]
    return f"{reason} (there is no {lacking[0]})" if lacking else reason
