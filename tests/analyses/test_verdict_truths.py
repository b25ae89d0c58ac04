"""Every verdict in made-up worlds whose truth is known: a few trials of what `benchmarks/verdicts.py` counts."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch_sim", exc_type=ImportError)
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from atomlens.analyses import Outcome
from made_up import World, all_worlds
from verdicts import rates, table, trial

WORLDS = all_worlds()
TRIALS = 3
# Right answers that are found in few trials only, at the sizes of these worlds: rank correlations over a dozen classes.
HARD = {"species/energies", "species/energies_signed", "many-body/reference_3", "decay/law"}


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=[world.name for world in WORLDS])
def test_verdicts_of_a_world_are_right(world: World) -> None:
    found = {claim: Counter[str]() for claim in world.expected}
    for number in range(TRIALS):
        for claim, outcome in trial(world, number).items():
            found[claim][outcome] += 1
    for claim, expected in world.expected.items():
        right = found[claim][expected.value]
        if expected is Outcome.CANNOT_TELL:
            # Half of the answers at most are wrong ones: on the limit itself each side has its 2.5 %.
            assert right >= TRIALS - 1, (claim, found[claim])
        else:
            opposite = {Outcome.AGREES: Outcome.DEVIATES, Outcome.DEVIATES: Outcome.AGREES}[expected]
            assert found[claim][opposite.value] == 0, (claim, found[claim])
            assert right >= TRIALS - 1 or claim in HARD, (claim, found[claim])


def test_every_claim_has_a_world_that_agrees_and_one_that_deviates_and_one_that_cannot_tell() -> None:
    expected: dict[str, set[Outcome]] = {}
    for world in WORLDS:
        for claim, outcome in world.expected.items():
            expected.setdefault(claim, set()).add(outcome)
    # A share is a share of a limited few: whether distances are misplaced has no truth on the limit here.
    lacking = {claim: found for claim, found in expected.items() if len(found) < 3}
    assert set(lacking) <= {"extensivity/composes", "stability/distances"}


def test_trials_are_made_again_from_their_number() -> None:
    world = next(world for world in WORLDS if "stability/drift" in world.expected)
    assert trial(world, 5) == trial(world, 5)


def test_rates_count_the_hardest_world() -> None:
    easy = World("easy", {"claim": Outcome.AGREES}, lambda rng: {})
    hard = World("hard", {"claim": Outcome.AGREES}, lambda rng: {})
    wrong = World("wrong", {"claim": Outcome.DEVIATES}, lambda rng: {})
    counts = {
        "easy": {"claim": {"agrees": 10}},
        "hard": {"claim": {"agrees": 6, "cannot tell": 4}},
        "wrong": {"claim": {"deviates": 8, "agrees": 2}},
    }
    found = rates([easy, hard, wrong], counts)
    assert found["claim"] == pytest.approx(
        {"trials": 10, "power_agrees": 0.6, "power_deviates": 0.8, "false_agrees": 0.2, "false_deviates": 0.0}
    )
    assert "| claim | 10 | 60 % | 80 % | 20 % | 0 % |" in table(found)
    assert np.isfinite(list(found["claim"].values())).all()
