"""Verdicts, intervals and storage: the parts that all questions share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import ase.build
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from atomlens import InputError, ModelConfig, Potential
from atomlens.analyses import (
    Control,
    Effect,
    Finding,
    Outcome,
    Rows,
    conclude,
    decide,
    molecule_effect,
    rank_correlation,
    untrained_model,
)
from atomlens.folders import load_result, save_result

finite = st.floats(-10, 10)


@given(finite, st.floats(0, 3), finite)
def test_outcome_follows_the_interval(middle: float, half: float, threshold: float) -> None:
    effect = Effect("score", middle, middle - half, middle + half, 20)
    outcome = decide(effect, threshold)
    if effect.low > threshold:
        assert outcome is Outcome.AGREES
    elif effect.high < threshold:
        assert outcome is Outcome.DEVIATES
    else:
        assert outcome is Outcome.CANNOT_TELL
    mirrored = decide(Effect("score", -middle, -effect.high, -effect.low, 20), -threshold, above=False)
    assert mirrored is outcome


def test_null_control_that_scores_as_well_takes_the_verdict_away() -> None:
    effect = Effect("score", 0.8, 0.7, 0.9, 20)
    assert decide(effect, 0.5, (Control("shuffled terms", 0.1),)) is Outcome.AGREES
    assert decide(effect, 0.5, (Control("shuffled terms", 0.75),)) is Outcome.CANNOT_TELL
    assert decide(effect, 0.5, (Control("shuffled terms", math.nan),)) is Outcome.CANNOT_TELL
    assert decide(effect, 0.5, (Control("distance alone", 0.75, is_null=False),)) is Outcome.AGREES


def test_no_interval_no_verdict() -> None:
    assert decide(Effect("score", 0.8), 0.5) is Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((Outcome.AGREES, Outcome.DEVIATES), Outcome.DEVIATES),
        ((Outcome.CANNOT_TELL, Outcome.AGREES), Outcome.AGREES),
        ((Outcome.CANNOT_TELL,), Outcome.CANNOT_TELL),
        ((), Outcome.CANNOT_TELL),
    ],
)
def test_worst_finding_decides(outcomes: tuple[Outcome, ...], expected: Outcome) -> None:
    findings = tuple(Finding("claim", outcome, f"it {outcome}") for outcome in outcomes)
    verdict = conclude("species", findings)
    assert verdict.outcome is expected
    assert verdict.sentence == (f"it {expected}" if findings else "nothing could be measured")


def test_interval_covers_the_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        values = rng.normal(size=60)
        effect = molecule_effect("mean", lambda drawn, v=values: float(v[drawn].mean()), 60, seed=trial)
        inside += effect.low < 0 < effect.high
    assert 0.88 <= inside / 200 <= 0.99


def test_few_molecules_give_no_interval() -> None:
    effect = molecule_effect("mean", lambda drawn: float(drawn.mean()), 4)
    assert effect.value == 1.5
    assert not effect.has_interval


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=1, max_size=10))
def test_rows_of_drawn_molecules(molecule: list[int], drawn: list[int]) -> None:
    column = np.array(molecule)
    found = Rows(column, 6).of(np.array(drawn))
    expected = [row for m in drawn for row in np.flatnonzero(column == m)]
    assert found.tolist() == expected


def test_rank_correlation_of_little_is_nan() -> None:
    assert math.isnan(rank_correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    assert math.isnan(rank_correlation(np.ones(5), np.arange(5.0)))
    assert rank_correlation(np.array([1.0, 2.0, np.nan, 3.0]), np.array([1.0, 4.0, 0.0, 9.0])) == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12))
def test_rank_correlation_is_spearman_s_with_ties(points: list[tuple[int, int]]) -> None:
    x, y = np.array(points, dtype=float).T
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert rank_correlation(x, y) == pytest.approx(float(spearmanr(x, y).statistic), abs=1e-12)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_untrained_model_keeps_scale_and_references_only(architecture: str) -> None:
    torch.manual_seed(0)
    model = Potential(ModelConfig.from_dict({"representation": {"architecture": architecture}}))
    with torch.no_grad():
        model.atomrefs[8] = -3.0
    state = torch.random.get_rng_state()
    fresh, again = untrained_model(model, seed=3), untrained_model(model, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert fresh.atomrefs[8] == -3.0
    water = ase.build.molecule("H2O")
    assert fresh.predict(water).value == again.predict(water).value
    assert fresh.predict(water).value != model.predict(water).value


@dataclass(frozen=True)
class _Result:
    table: pl.DataFrame
    effects: dict[str, Effect]
    numbers: tuple[float, ...]
    outcome: str


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    effects = {"a": Effect("a", 1.5, 1.0, 2.0, 7, "eV"), "b": Effect("b", math.nan)}
    result = _Result(pl.DataFrame({"x": [1, 2]}), effects, (1.0, math.nan), "agrees")
    save_result(result, tmp_path / "species")
    loaded = load_result(_Result, tmp_path / "species")
    assert loaded.table.equals(result.table)
    assert loaded.effects["a"] == effects["a"]
    assert math.isnan(loaded.effects["b"].value)
    assert loaded.numbers[0] == 1.0
    assert math.isnan(loaded.numbers[1])


def test_missing_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"result\.json: damaged \(No such file"):
        load_result(_Result, tmp_path)
