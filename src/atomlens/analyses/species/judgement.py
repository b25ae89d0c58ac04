"""What the scores of pair terms by species say about chemistry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from atomlens.analyses.pair_scores import Score
from atomlens.analyses.statistics import MIN_MOLECULES
from atomlens.analyses.verdict import Finding, Outcome, cannot_tell, decide

# Thresholds are our choice: a rank correlation of a half, a majority, nine bonds in ten.
_CORRELATION, _MAJORITY, _NEARLY_ALL = 0.5, 0.5, 0.9
# A constant below this share of the prediction is taken for nothing.
_NO_CONSTANT = 0.01

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
        Mean constant a atom, in `unit`.
    """

    property: str
    unit: str
    is_energy: bool
    n_structures: int
    n_formulas: int
    formula: str
    constant_share: float
    constant_per_atom: float


def findings(scores: Mapping[str, Score], orders: pl.DataFrame, about: Circumstances) -> tuple[Finding, ...]:
    """One finding a claim, in the order of the page."""
    energies = "Classes of bonds with a higher bond energy have"
    bond_order = "Pairs with a higher bond order have stronger terms"
    multiplicity = "At the same elements, triple bonds have {} than double, and double than single bonds"
    made = [
        _ranked(f"{energies} stronger terms", scores["energies"], _CORRELATION, _ENERGY_TABLE, about),
        _ranked(f"{energies} more stabilising terms", scores["energies_signed"], _CORRELATION, _ENERGY_TABLE, about),
        _ranked(f"{bond_order}, over all pairs", scores["orders_all"], _CORRELATION, _GFN2, about),
        _ranked(f"{bond_order}, over bonded pairs", scores["orders_bonded"], _CORRELATION, _GFN2, about),
        *(
            _with(
                _lowest(orders, column),
                _ranked(multiplicity.format(words), scores[f"multiplicity{suffix}"], _MAJORITY, _ORDER, about),
            )
            for column, suffix, words in (
                ("strength", "", "stronger terms"),
                ("stabilisation", "_signed", "more stabilising terms"),
            )
        ),
        _ranked(
            "Pairs with fewer bonds between them have stronger terms",
            scores["topology"],
            _MAJORITY,
            "bonded before geminal (1-3) before 1-4 interactions, as in every force field",
            about,
        ),
        _bond_sign(scores["bond_sign"], about),
        _hydrogen_bonds(scores["hydrogen_bonds"], about),
    ]
    return tuple(made)


def _ranked(claim: str, score: Score, threshold: float, reference: str, about: Circumstances) -> Finding:
    """A score that should lie above a threshold, and means something for energies only."""
    if reason := _reason(score):
        return cannot_tell(claim, f"{reason}{_if_number(score)}", reference)
    told = _told(score)
    if not about.is_energy:
        reason = f"chemistry says this of energies, not of {about.property}; {told}"
        return Finding(claim, Outcome.CANNOT_TELL, reason, score.effect, threshold, score.controls, reference)
    outcome = decide(score.effect, threshold, score.controls)
    sentence = f"{told}, held against {threshold:g}{_only(about)}"
    return Finding(claim, outcome, sentence, score.effect, threshold, score.controls, reference)


def _bond_sign(score: Score, about: Circumstances) -> Finding:
    """Signs are relative to the constant: where that holds the binding already, too few negative bonds say nothing."""
    claim = "Bonds stabilise: nearly all bonded pairs have negative terms"
    reference = "every covalent bond lowers the energy below that of the free atoms"
    if not about.is_energy:
        return cannot_tell(
            claim, f"only an energy has stabilising parts, and the model predicts {about.property}", reference
        )
    if reason := _reason(score):
        return cannot_tell(claim, f"{reason}{_if_number(score)}", reference)
    outcome = decide(score.effect, _NEARLY_ALL, score.controls)
    sentence = f"{_told(score)}, held against {_NEARLY_ALL:g}; relative to {_constant(about)}{_only(about)}"
    if outcome is Outcome.DEVIATES and about.constant_share > _NO_CONSTANT:
        outcome = Outcome.CANNOT_TELL
        sentence += "; what bonds add on average may be in that constant, so that terms only tell the differences"
    return Finding(claim, outcome, sentence, score.effect, _NEARLY_ALL, score.controls, reference)


def _hydrogen_bonds(score: Score, about: Circumstances) -> Finding:
    claim = "Hydrogen bonds stabilise: the H···A term is negative"
    if not about.is_energy:
        reason = f"only an energy has stabilising parts, and the model predicts {about.property}"
        return cannot_tell(claim, reason, _HYDROGEN_BOND)
    if reason := _reason(score):
        return cannot_tell(claim, f"{reason}{_if_number(score)}", _HYDROGEN_BOND)
    outcome = decide(score.effect, 0.0, score.controls, above=False)
    return Finding(
        claim,
        outcome,
        f"{_told(score)}, held against 0{_only(about)}",
        score.effect,
        0.0,
        score.controls,
        _HYDROGEN_BOND,
    )


def _lowest(orders: pl.DataFrame, column: str) -> str:
    """The comparison that comes out worst."""
    if not len(orders):
        return ""
    row = orders.sort(column).row(0, named=True)
    return f"; lowest for {row['species']}, {row['higher']} over {row['lower']}: {row[column]:.2g}"


def _with(more: str, finding: Finding) -> Finding:
    return replace(finding, sentence=finding.sentence + more)


def _reason(score: Score) -> str:
    """Why a score decides nothing; "" if it may."""
    if score.missing:
        return score.missing
    if score.effect.has_interval:
        return ""
    n = score.effect.n
    if n < MIN_MOLECULES:
        return f"only {n} structure{'s' if n != 1 else ''} with such pairs; an interval needs {MIN_MOLECULES}"
    return "too many draws of molecules lack one of the classes"


def _if_number(score: Score) -> str:
    return "" if score.missing else f"; {_told(score)}"


def _told(score: Score) -> str:
    return f"{score.effect.name}: {score.effect} in {score.effect.n} structures"


def _only(about: Circumstances) -> str:
    """A warning where intervals over structures do not speak of other molecules."""
    return (
        f"; all structures are {about.formula}, so this speaks of that molecule alone" if about.n_formulas == 1 else ""
    )


def _constant(about: Circumstances) -> str:
    if about.constant_share <= _NO_CONSTANT:
        return "no constant: the terms are the whole prediction"
    return (
        f"the constant part (references, mean, last bias), {about.constant_per_atom:.3g} {about.unit} an atom or "
        f"{about.constant_share:.3g} of the prediction"
    )
