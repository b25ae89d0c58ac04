"""What the scores of pair terms by species say about chemistry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from atomlens.analyses.claims import Claim, judge_claim
from atomlens.analyses.pair_scores import Score
from atomlens.analyses.verdict import Effect, Finding, Outcome, cannot_tell, not_applicable

# Thresholds are our choice: a rank correlation of a half, a majority, nine bonds in ten.
_CORRELATION, _MAJORITY, _NEARLY_ALL = 0.5, 0.5, 0.9
# A constant below this share of the prediction is taken for nothing.
_NO_CONSTANT = 0.01
# Terms that hold this much of the binding are relative to free atoms, whatever the constant. Fitted references leave
# next to nothing of it (0.00 and -0.02 of two models of QM9), energies of free atoms all of it (0.98; 1.39 in
# GFN2-xTB, which binds too strongly).
_ALL_BINDING = 0.75

_ENERGY_TABLE = "mean bond energies, OpenStax Chemistry 2e (table 'Bond Energies')"
_GFN2 = "GFN2-xTB bond orders of the same pairs (Bannwarth, Ehlert, Grimme 2019; tblite)"
_ORDER = "bond energies and lengths of C, N and O: triple, then double, then single"
_HYDROGEN_BOND = "hydrogen bonds are attractive; geometry after Baker and Hubbard 1984"


@dataclass(frozen=True)
class Circumstances:
    """What must be known about model and structures to read the scores.

    Attributes
    ----------
    property, unit
        What the model predicts.
    is_energy
        Whether it is an energy of the whole molecule, so that signs and bond energies mean something.
    n_structures, n_formulas, formula
        How many structures, of how many compositions, and the first one.
    constant_share
        Mean of abs(c) over mean of abs(y): how much of the prediction the constant holds, which has no terms.
    constant_per_atom
        Mean constant per atom, in `unit`.
    binding_share
        Sum of c - y over the sum of mean bond energies, in structures of which every bond is in the table: how much of
        the binding the terms hold. NaN where there is no such structure.
    """

    property: str
    unit: str
    is_energy: bool
    n_structures: int
    n_formulas: int
    formula: str
    constant_share: float
    constant_per_atom: float
    binding_share: float


_READ = "Strengths of terms may be read as strengths of bonds."
_DO_NOT_READ = "Do not read the strength of a term of this model as the strength of a bond."
_SIGNED = "The sign of a term shows what stabilises the molecule."
_NOT_SIGNED = "Do not read a negative term of this model as a stabilising bond."
_MULTIPLE = "At the same elements, triple bonds have {} than double, and double than single bonds"

CLAIMS = {
    "energies": Claim(
        "Classes of bonds with a higher bond energy have stronger terms",
        "Do classes of bonds rank by strength as their bond energies?",
        _READ,
        _DO_NOT_READ,
        _ENERGY_TABLE,
        _CORRELATION,
        counted="classes of bonds",
    ),
    "energies_signed": Claim(
        "Classes of bonds with a higher bond energy have more stabilising terms",
        "Do classes of bonds rank by stabilisation as their bond energies?",
        _SIGNED,
        _NOT_SIGNED,
        _ENERGY_TABLE,
        _CORRELATION,
        counted="classes of bonds",
    ),
    "orders_all": Claim(
        "Pairs with a higher bond order have stronger terms, over all pairs",
        "Do pairs rank by strength as their GFN2 bond orders?",
        "Terms tell bonds from pairs further apart.",
        "Terms of this model do not tell bonds from pairs further apart.",
        _GFN2,
        _CORRELATION,
    ),
    "orders_bonded": Claim(
        "Pairs with a higher bond order have stronger terms, over bonded pairs",
        "Do bonds rank by strength as their GFN2 bond orders?",
        _READ,
        _DO_NOT_READ,
        _GFN2,
        _CORRELATION,
    ),
    "multiplicity": Claim(
        _MULTIPLE.format("stronger terms"),
        "Is the bond of higher order the stronger one at the same elements?",
        _READ,
        _DO_NOT_READ,
        _ORDER,
        _MAJORITY,
    ),
    "multiplicity_signed": Claim(
        _MULTIPLE.format("more stabilising terms"),
        "Is the bond of higher order the more stabilising one at the same elements?",
        _SIGNED,
        _NOT_SIGNED,
        _ORDER,
        _MAJORITY,
    ),
    "topology": Claim(
        "Pairs with fewer bonds between them have stronger terms",
        "Are pairs stronger the fewer bonds lie between them?",
        "Terms weaken along the chain of bonds, as in every force field.",
        "Terms of this model do not follow the chain of bonds.",
        "bonded before geminal (1-3) before 1-4 interactions, as in every force field",
        _MAJORITY,
    ),
    "bond_sign": Claim(
        "Bonds stabilise: nearly all bonded pairs have negative terms",
        "Do bonds stabilise?",
        _SIGNED,
        "The model holds its binding elsewhere than in its bonds. " + _NOT_SIGNED,
        "every covalent bond lowers the energy below that of the free atoms",
        _NEARLY_ALL,
    ),
    "hydrogen_bonds": Claim(
        "Hydrogen bonds stabilise: the H···A term is negative",
        "Do hydrogen bonds stabilise?",
        "Terms show hydrogen bonds as attractions.",
        "Terms of this model do not show hydrogen bonds as attractions.",
        _HYDROGEN_BOND,
        0.0,
        above=False,
    ),
}
_SIGNS = ("energies_signed", "multiplicity_signed", "bond_sign", "hydrogen_bonds")


def findings(scores: Mapping[str, Score], orders: pl.DataFrame, about: Circumstances) -> tuple[Finding, ...]:
    """One finding per claim, in the order of the page."""
    return tuple(_finding(key, claim, scores[key], orders, about) for key, claim in CLAIMS.items())


def _finding(key: str, claim: Claim, score: Score, orders: pl.DataFrame, about: Circumstances) -> Finding:
    if not about.is_energy:
        reason = "only an energy has stabilising parts" if key in _SIGNS else "bonds are known by their energies"
        number = "" if score.missing else f" ({score.effect.name}: {score.effect})"
        reason = f"{claim.asked} {reason}, and the model predicts {about.property}{number}."
        return replace(not_applicable(claim.text, reason, claim.reference), effect=_effect(score))
    if key == "bond_sign" and about.constant_share > _NO_CONSTANT and not about.binding_share >= _ALL_BINDING:
        # Relative to references that hold the average bond, signs say only which bonds are above the average.
        reason = (
            f"{claim.asked} What bonds add on average may be in the constant part (references, mean, last bias), "
            f"{about.constant_per_atom:.3g} {about.unit} per atom: {_held(about)}. Signs of terms are then relative to "
            "an average bond and show no binding."
        )
        return replace(not_applicable(claim.text, reason, claim.reference), effect=_effect(score))
    if score.missing:
        return cannot_tell(claim.text, f"{claim.asked} {score.missing}.", claim.reference)
    column = {"multiplicity": "strength", "multiplicity_signed": "stabilisation"}.get(key)
    more = _lowest(orders, column) if column else ""
    finding = judge_claim(claim, score.effect, score.controls, more=more)
    if about.n_formulas == 1 and finding.outcome in (Outcome.AGREES, Outcome.DEVIATES):
        return replace(finding, sentence=f"{finding.sentence} All structures are {about.formula}: of it alone.")
    return finding


def _held(about: Circumstances) -> str:
    if math.isnan(about.binding_share):
        return f"it is {about.constant_share:.3g} of the prediction, and no structure has only bonds of known energy"
    return f"terms sum to {about.binding_share:.2g} of what mean bond energies do"


def _effect(score: Score) -> Effect | None:
    return None if score.missing else score.effect


def _lowest(orders: pl.DataFrame, column: str) -> str:
    """The comparison that comes out worst."""
    if not len(orders):
        return ""
    row = orders.sort(column).row(0, named=True)
    return f"lowest for {row['species']}, {row['higher']} over {row['lower']}: {row[column]:.2g}"
