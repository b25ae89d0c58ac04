"""Sentences on top of a page, and numbers in its chapters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atomlens.analyses import MIN_CLASSES, MIN_COMMON, MIN_MOLECULES, Control, Effect, Finding, Outcome, conclude
from atomlens.report.answers import summary_answers
from atomlens.report.chapters import many_body, species
from atomlens.report.wording import SIGNS

BONDS = "Terms tell bonds from pairs further apart."


def finding(baseline: float) -> Finding:
    effect = Effect("rank correlation", 0.56, 0.54, 0.58, 100)
    alone = Control("distance alone", baseline, is_null=False)
    asked = f"Do pairs rank? Rank correlation: {effect}. {BONDS}"
    return Finding("Pairs", Outcome.AGREES, asked, effect, 0.5, (alone,), answer=BONDS, allowed="above 0.5")


def top(*findings: Finding) -> str:
    (answer,) = summary_answers([conclude("species", findings)])
    return answer.sentence


def test_an_agreement_names_a_baseline_that_agrees_as_well() -> None:
    said = top(finding(0.535))
    assert said == f"{BONDS} But distance alone scores 0.535, the model 0.56 (expected: above 0.5)."
    assert top(finding(0.3)) == BONDS
    below = replace(finding(-0.3), threshold=0.0, allowed="below 0", effect=Effect("mean", -0.5, -0.6, -0.4, 100))
    assert "distance alone scores \N{MINUS SIGN}0.3, the model \N{MINUS SIGN}0.5" in top(below)


def test_an_agreement_counts_what_was_not_decided() -> None:
    undecided = [Finding(f"Claim {k}", Outcome.CANNOT_TELL, "Is it so? Too few.") for k in range(8)]
    assert top(finding(0.3), *undecided) == f"{BONDS} Of 9 expectations 8 could not be decided."
    assert top(finding(0.3), undecided[0]) == BONDS


@pytest.mark.parametrize(
    ("chapter", "number"),
    [
        (species, f"{MIN_CLASSES} classes at least"),
        (species, f"in {MIN_COMMON} structures or more"),
        (many_body, f"fewer than {MIN_MOLECULES}"),
    ],
)
def test_methods_state_the_limits_of_the_code(chapter: object, number: str) -> None:
    assert number in " ".join(chapter.HOW.split())  # pyright: ignore[reportAttributeAccessIssue]


def test_an_orbital_energy_is_not_said_to_be_no_energy() -> None:
    said = SIGNS["other"].orange.format(property="HOMO")
    assert "The HOMO is not the energy of the molecule" in said
