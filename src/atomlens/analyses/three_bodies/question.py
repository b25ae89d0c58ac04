r"""Does a third molecule change the contact of two as it should?

Rings of three molecules of water and ammonia at several sizes. The model's three-body energy, by removing molecules,
and the sum of its terms that reach over all three molecules are compared with the three-body energy of GFN2-xTB:
among rings of one size, since nearly everything falls with size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import ase
import numpy as np
import polars as pl

from atomlens.analyses.assemblies import knows_element
from atomlens.analyses.claims import Claim, judge_claim
from atomlens.analyses.inputs import AnalysisInputs, by_seed, untrained_models
from atomlens.analyses.pair_scores import Score, is_energy
from atomlens.analyses.three_bodies.points import POINTS, trimer_points
from atomlens.analyses.three_bodies.scores import of_points, ranks_at_one_size, ratio_of_sizes, three_body_score
from atomlens.analyses.three_bodies.trimers import MIXTURES, Trimer, make_trimers
from atomlens.analyses.verdict import Finding, Outcome, Verdict, cannot_tell, conclude, not_applicable, sentence_case
from atomlens.potentials import AnyPotential
from atomlens.reference import gfn2_energy
from atomlens.surveys import Progress, no_progress

SLUG = "three-bodies"
TITLE = "Three molecules"
# A quarter of the variance of ranks, as elsewhere; a size is right within a factor of two.
_RANK, _RATIO = 0.5, (0.5, 2.0)
# Terms in eV that are zero but for rounding.
_NOTHING = 1e-9
# Untrained models are asked about one size: rings rank nearly alike at all.
_MIDDLE = 1
# The same rings for every model, whatever the seed of a run.
_SEED = 0
_RINGS = "rings"
_GFN2 = "GFN2-xTB (Bannwarth et al., J. Chem. Theory Comput. 15, 1652, 2019), molecules removed"

CLAIMS = {
    "energy": Claim(
        "Three-body energies of the model rank as those of GFN2.",
        "Does a third molecule strengthen or weaken the contact of two as in GFN2?",
        "The model knows which arrangements of three molecules help each other.",
        "The model does not know how molecules help each other: do not trust its liquids and clusters.",
        _GFN2,
        _RANK,
        counted=_RINGS,
    ),
    "size": Claim(
        "Three-body energies of the model are as large as those of GFN2, within a factor of two.",
        "Are three-body energies as large as in GFN2?",
        "Cooperative effects have the right size.",
        "Cooperative effects have the wrong size: do not trust liquids or clusters of many molecules.",
        _GFN2,
        band=_RATIO,
        counted=_RINGS,
    ),
    "terms": Claim(
        "Terms that reach over three molecules rank as GFN2's three-body energies.",
        "Do terms of three and more atoms that reach over three molecules rank as GFN2's three-body energies?",
        "Terms over three molecules show which arrangements help each other.",
        "Do not read terms over three molecules as three-body energies.",
        _GFN2,
        _RANK,
        counted=_RINGS,
    ),
}


@dataclass(frozen=True)
class ThreeBodiesResult:
    """What was measured on rings of three molecules.

    Attributes
    ----------
    property, unit
        What the model predicts.
    points
        One row per ring and size (`trimer_points`).
    untrained
        The same of untrained models, by ``seed``, on some of the rings, at the middle size.
    inapplicable
        Why the question means nothing for the model; "" where it does.
    no_terms
        Why the claim on terms does not.
    missing
        Why there are no reference energies, or not all of them.
    seed
        Of controls and bootstrap.
    """

    property: str
    unit: str
    points: pl.DataFrame
    untrained: pl.DataFrame
    inapplicable: str
    no_terms: str
    missing: str
    seed: int


def compute(
    inputs: AnalysisInputs,
    *,
    progress: Progress = no_progress,
    energy: Callable[[ase.Atoms], float] = gfn2_energy,
    n_trimers: int = 40,
    n_untrained: int = 12,
) -> ThreeBodiesResult:
    """Ask a model about rings of water and ammonia; structures and tables are not needed.

    Parameters
    ----------
    inputs
        Model and settings.
    progress
        Called with what is being done.
    energy
        The reference: a total energy in eV.
    n_trimers, n_untrained
        Rings that the model, and each untrained model, is asked about.
    """
    mixtures = [names for names in MIXTURES if all(_knows(inputs.model, name) for name in set(names))]
    trimers = make_trimers(mixtures, n_trimers, np.random.default_rng(_SEED)) if mixtures else []
    reason = _why_not(inputs, trimers)
    points, untrained, missing = pl.DataFrame(schema=POINTS), pl.DataFrame(), ""
    if not reason:
        points, missing = trimer_points(inputs, trimers, energy, progress)
        some = trimers[:n_untrained]
        known = points.select("trimer", "size", "xtb")
        fresh = untrained_models(inputs.model, inputs.settings.seed) if some else []
        tables = [trimer_points(replace(inputs, model=m), some, sizes=[_MIDDLE])[0].drop("xtb") for m in fresh]
        untrained = by_seed([table.join(known, on=("trimer", "size"), how="left") for table in tables])
    no_terms = "" if inputs.model.facts.has_terms else "an ASE calculator has no terms"
    if not no_terms and len(points) and np.abs(points["term"].to_numpy()).max() < _NOTHING:
        no_terms = "no walk of this model visits three molecules"
    return ThreeBodiesResult(
        property=inputs.property,
        unit=inputs.unit,
        points=points,
        untrained=untrained,
        inapplicable=reason,
        no_terms=no_terms,
        missing=missing,
        seed=inputs.settings.seed,
    )


def judge(result: ThreeBodiesResult) -> Verdict:
    """Compare the model's three-body energies, and its terms, with GFN2's."""
    known = scores(result)
    order = _finding("energy", result, known["energy"])
    sizes = _size_finding(result, known["size"], order)
    return conclude(SLUG, (order, sizes, _finding("terms", result, known["terms"])))


def scores(result: ThreeBodiesResult) -> dict[str, Score]:
    """What is judged, by claim."""
    rings = of_points(result.points)
    tables = result.untrained.partition_by("seed") if "seed" in result.untrained.columns else []
    fresh = [of_points(table) for table in tables]
    asked = {
        "energy": ("rank correlation with GFN2 among rings of one size", ranks_at_one_size, "energy", "pairs"),
        "size": ("mean size of three-body energies over that of GFN2's", ratio_of_sizes, "energy", ""),
        "terms": ("rank correlation of terms with GFN2 among rings of one size", ranks_at_one_size, "term", "energy"),
    }
    return {
        key: three_body_score(name, statistic, rings, source, fresh, beside=beside, seed=result.seed)
        for key, (name, statistic, source, beside) in asked.items()
    }


def _finding(key: str, result: ThreeBodiesResult, score: Score) -> Finding:
    claim = CLAIMS[key]
    more = _mixtures(result) if key == "energy" else ""
    return _unasked(key, result, score) or judge_claim(claim, score.effect, score.controls, more=more)


def _size_finding(result: ThreeBodiesResult, score: Score, order: Finding) -> Finding:
    """A size that is right says something only of energies whose order is right: it may be met by chance."""
    if (unasked := _unasked("size", result, score)) is not None:
        return unasked
    claim = CLAIMS["size"]
    rings = of_points(result.points).columns
    tight = [1000.0 * np.abs(rings[column][:, 0]).mean() for column in ("energy", "xtb")]
    more = f"mean size in the tightest rings {tight[0]:.2g} meV, of GFN2 {tight[1]:.2g} meV"
    if claim.decide(score.effect, score.controls) is Outcome.AGREES and order.outcome is not Outcome.AGREES:
        why = "This decides nothing: their order is not shown to be GFN2's, and sizes may be met by chance."
        return judge_claim(claim, score.effect, score.controls, outcome=Outcome.CANNOT_TELL, why=why, more=more)
    return judge_claim(claim, score.effect, score.controls, more=more)


def _unasked(key: str, result: ThreeBodiesResult, score: Score) -> Finding | None:
    """The finding of a claim that cannot be judged."""
    claim = CLAIMS[key]
    if no := result.inapplicable or (result.no_terms if key == "terms" else ""):
        return not_applicable(claim.text, f"{claim.asked} {sentence_case(no)}.", claim.reference)
    if score.missing:
        return cannot_tell(claim.text, f"{claim.asked} {sentence_case(result.missing or score.missing)}.", _GFN2)
    return None


def _why_not(inputs: AnalysisInputs, trimers: list[Trimer]) -> str:
    """Why the model cannot be asked, as a clause; empty where it can."""
    facts = inputs.model.facts
    if not is_energy(inputs):
        return f"these are energies, and the model predicts {inputs.property}"
    if not trimers:
        return "the model knows neither water nor ammonia"
    nearest = min(trimer.gap(0) for trimer in trimers)
    if facts.long_range == "none" and facts.cutoff < nearest:
        return (
            f"the model's cutoff of {facts.cutoff:g} Å reaches no other molecule, the nearest of which is at "
            f"{nearest:.2f} Å: its three-body energies are zero by construction"
        )
    return ""


def _knows(model: AnyPotential, name: str) -> bool:
    return all(knows_element(model, symbol) for symbol in set(ase.Atoms(name).get_chemical_symbols()))


def _mixtures(result: ThreeBodiesResult) -> str:
    counted = result.points.group_by("mixture", maintain_order=True).agg(pl.col("trimer").n_unique())
    return ", ".join(f"{n} of {name}" for name, n in counted.iter_rows())
