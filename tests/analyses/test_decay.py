"""Decay with distance: laws on known answers, references, dimers, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from decay_worlds import WHERE, law, references, wide
from explained import inputs_of
from pair_tables import clouds, inputs_with
from scipy.spatial.distance import cdist

from atomlens import InputError, load_model
from atomlens.analyses import Finding, Outcome
from atomlens.analyses.decay.distance_range import find_range
from atomlens.analyses.decay.laws import decay_of, exponent, exponent_effect, law_gain, law_preference
from atomlens.analyses.decay.pair_forces import force_bins, force_score
from atomlens.analyses.decay.pairs import References
from atomlens.analyses.decay.question import DecayResult, compute, judge
from atomlens.analyses.decay.scores import _growth, score_pairs
from atomlens.analyses.verdict import decide
from atomlens.folders import load_result, save_result
from atomlens.models import zoo_names
from atomlens.reference import ReferenceUnavailable
from atomlens.report.chapters import decay as chapter
from samples import small_model

KEYS = (
    "law",
    "exponent",
    "exponent_response",
    "dimers",
    "growth",
    "sign",
    "steepening",
    "pair_forces",
    "edge",
    "s66x8",
)


def answered(terms: Callable[[pl.DataFrame], np.ndarray], known: References | None = None) -> dict[str, Finding]:
    result = compute(
        inputs_with(clouds, terms), references=known or references(), n_response=12, n_dimers=0, n_resamples=40
    )
    return dict(zip(KEYS, judge(result).findings, strict=True))


@pytest.mark.slow
def test_terms_of_the_reference_s_law_agree() -> None:
    found = answered(law(-3.0))
    for key in ("law", "growth"):
        assert found[key].outcome is Outcome.AGREES, found[key].sentence
    for key in ("exponent", "steepening"):
        assert found[key].outcome is Outcome.DESCRIPTIVE
    assert found["edge"].outcome is not Outcome.AGREES  # such terms are cut off, not led to zero
    assert found["dimers"].outcome is Outcome.CANNOT_TELL
    assert "no two single molecules" in found["dimers"].sentence


@pytest.mark.slow
def test_exponential_terms_deviate() -> None:
    found = answered(law(rate=3.0))
    assert found["law"].outcome is Outcome.DEVIATES
    # Where the reference is no power itself, the range is too short to tell, whatever the terms do.
    for terms in (law(rate=3.0), law(-3.0)):
        told = answered(terms, replace(references(), response=exponential))["law"]
        assert told.outcome is Outcome.CANNOT_TELL
        assert "the reference is no clear power" in told.sentence


def exponential(atoms: ase.Atoms) -> np.ndarray:
    r = cdist(atoms.positions, atoms.positions)
    return np.exp(-3.0 * r + 0.05 * np.sin(1e3 * r))


@pytest.mark.slow
def test_terms_that_grow_have_no_law_of_decay() -> None:
    found = answered(law(3.0))["law"]
    assert found.outcome is Outcome.CANNOT_TELL
    assert "not shown that terms fall" in found.sentence


@pytest.mark.slow
@pytest.mark.parametrize(("own", "outcome"), [(-5.3, Outcome.AGREES), (-8.0, Outcome.DEVIATES)])
def test_couplings_are_compared_with_couplings(own: float, outcome: Outcome) -> None:
    inputs = inputs_with(clouds, law(-3.0))
    known = references(own=own, model=inputs.model)
    result = compute(inputs, references=known, n_response=12, n_dimers=0, n_resamples=60)
    found = dict(zip(KEYS, judge(result).findings, strict=True))["exponent_response"]
    assert found.outcome is outcome, found.sentence
    assert found.effect is not None
    assert found.effect.value == pytest.approx(own + 5.0, abs=0.05)
    same = compute(inputs, references=references(own=own), n_response=12, n_dimers=0, n_resamples=60)
    taken = dict(zip(KEYS, judge(same).findings, strict=True))["exponent_response"]
    assert taken.outcome is (Outcome.CANNOT_TELL if outcome is Outcome.AGREES else outcome)


def test_a_reference_that_hardly_falls_decides_nothing_on_exponents() -> None:
    """Couplings that fall as r^-0.5: a model without any decay is as near as a perfect one."""
    inputs = inputs_with(clouds, law(-3.0))
    known = references(-0.5, model=inputs.model)
    result = compute(inputs, references=known, n_response=12, n_dimers=0, n_resamples=60)
    found = dict(zip(KEYS, judge(result).findings, strict=True))["exponent_response"]
    assert found.outcome is Outcome.CANNOT_TELL
    assert "no decay at all would agree" in found.sentence


def test_growing_terms_deviate_unless_the_reference_grows_as_much() -> None:
    assert answered(law(2.0))["growth"].outcome is Outcome.DEVIATES
    grown = answered(law(2.0), references(3.0))["growth"]
    assert grown.outcome is Outcome.CANNOT_TELL
    assert "the reference grows as well" in grown.sentence


@pytest.mark.slow
@pytest.mark.parametrize("n", [-1.0, -3.0])
def test_noisy_terms_that_fall_are_not_said_to_grow(n: float) -> None:
    """The largest of some noisy windows is above zero; the window that others chose is not."""
    boot = {"seed": 0, "n_resamples": 60}
    said = []
    for seed in range(30):
        table = wide(lambda r, rng: r**n * np.exp(rng.normal(size=len(r))), seed=seed)
        inside = table.filter(pl.col("distance") < WHERE.high)
        said.append(decide(_growth(inside, WHERE, boot).effect, 0.0, above=False))
    assert said.count(Outcome.DEVIATES) <= 3
    many = wide(lambda r, rng: r**4 * np.exp(rng.normal(size=len(r))), n=3000)
    assert decide(score_pairs(many, WHERE, **boot)["growth"].effect, 0.0, above=False) is Outcome.DEVIATES


def test_noise_never_agrees() -> None:
    found = answered(lambda pairs: np.random.default_rng(3).normal(size=len(pairs)))
    made = [found[key] for key in ("law", "exponent", "exponent_response", "growth")]
    assert all(finding.outcome is not Outcome.AGREES for finding in made)


def test_law_of_the_untrained_model_takes_the_verdict_away() -> None:
    inputs = inputs_with(clouds, law(-3.0))
    same = replace(inputs, untrained=[{"pairs": inputs.tables["pairs"]}])
    result = compute(same, references=references(), n_response=12, n_dimers=0, n_resamples=40)
    found = dict(zip(KEYS, judge(result).findings, strict=True))
    assert {found[key].outcome for key in ("law", "growth")} == {Outcome.CANNOT_TELL}


@pytest.mark.parametrize("n", [-1.0, -3.0, -6.0])
def test_exponents_and_laws_of_made_up_decays(n: float) -> None:
    rng = np.random.default_rng(0)
    r, group, molecule = rng.uniform(2.5, 6.0, 600), rng.integers(3, size=600), np.arange(600) // 20
    constants = np.array([1.0, 30.0, 0.01])[group]
    decay = decay_of(r, constants * r**n * np.exp(0.2 * rng.normal(size=600)), group, molecule)
    effect = exponent_effect("n", decay, n_resamples=100)
    assert effect.low < n < effect.high
    assert exponent(decay) == effect.value
    if n < -1.0:
        assert law_preference("", decay, n_resamples=100).low > 0
        exponential = decay_of(r, constants * np.exp(n * r + 0.2 * rng.normal(size=600)), group, molecule)
        assert law_preference("", exponential, n_resamples=100).high < 0


def test_held_out_gain_is_that_of_two_fits() -> None:
    """One group: against numpy's own straight lines on the same folds."""
    rng = np.random.default_rng(0)
    r, molecule = rng.uniform(2.5, 6.0, 100), np.arange(100) // 10
    v = r**-4.0 * np.exp(0.3 * rng.normal(size=100))
    gain = law_gain(decay_of(r, v, np.zeros(100, dtype=int), molecule), seed=7)
    # Two groups are two laws; only their scatter is in common.
    both = decay_of(np.tile(r, 2), np.tile(v, 2), np.repeat([0, 1], 100), np.tile(molecule, 2))
    assert law_gain(both, seed=7).mean() == pytest.approx(gain.mean(), rel=0.1)
    fold = (np.random.default_rng(7).permutation(10) % 5)[molecule]
    y, expected = np.log(v), np.zeros(100)
    for k in range(5):
        scores = []
        for x in (np.log(r), r):
            line = np.polyfit(x[fold != k], y[fold != k], 1)
            variance = np.square(y[fold != k] - np.polyval(line, x[fold != k])).sum() / ((fold != k).sum() - 2)
            miss = y[fold == k] - np.polyval(line, x[fold == k])
            scores.append(-0.5 * (np.log(2 * np.pi * variance) + miss**2 / variance))
        expected[fold == k] = scores[0] - scores[1]
    assert gain == pytest.approx(expected)


def test_zeros_and_few_values_have_no_slope() -> None:
    r = np.linspace(2.5, 4.5, 30)
    none = np.zeros(30, dtype=int)
    assert len(decay_of(r, np.where(r > 3, 0.0, np.nan), none, none)) == 0
    assert math.isnan(exponent(decay_of(r[:19], r[:19], none[:19], none[:19])))
    assert math.isnan(exponent(decay_of(np.full(30, 3.0), r, none, none)))
    assert np.isnan(law_gain(decay_of(r, r, none, none))).all()  # one molecule cannot be held out


def unavailable(*_: object) -> np.ndarray:
    raise ReferenceUnavailable("no program")


@pytest.mark.slow
@pytest.mark.parametrize(
    "structures",
    [
        [ase.Atoms("O", [[0.0, 0, 0]])],
        [ase.build.molecule("CH3CH2OH")],
        [ase.build.molecule("CH3")] * 6,
        [ase.Atoms("OHC", [[0, 0, 0.1], [0.9, 1.0, 0.3], [0.2, -0.8, 1.5]], cell=[6, 6, 6], pbc=True)] * 6,
    ],
    ids=["single atom", "one molecule", "radical", "periodic"],
)
def test_little_can_be_told_of_little(structures: list[ase.Atoms], tmp_path: Path) -> None:
    inputs = inputs_of(small_model("schnet", n_layers=2, cutoff=4.0), structures, with_untrained=False)
    nothing = References(*[unavailable] * 4)  # pyright: ignore[reportArgumentType]
    result = compute(inputs, references=nothing, n_dimers=2, n_resamples=20)
    verdict = judge(result)
    assert verdict.outcome is not Outcome.AGREES
    assert all(finding.sentence for finding in verdict.findings)
    save_result(result, tmp_path)
    loaded = load_result(DecayResult, tmp_path)
    assert judge(loaded) == verdict
    chapter.figure(loaded).draw_without_rendering()


def test_failed_reference_is_named() -> None:
    known = replace(references(), response=unavailable)
    found = answered(law(-3.0), known)
    for key in ("exponent", "exponent_response", "steepening"):
        # A term has its exponent without a reference beside it, but is never compared with one.
        assert found[key].outcome is Outcome.CANNOT_TELL
        assert "no program" in found[key].sentence


def test_other_properties_than_energies_cannot_be_judged() -> None:
    inputs = inputs_with(clouds, law(-3.0))
    orbital = small_model("schnet", cutoff=5.0, output={"extensive": False, "property": "HOMO", "has_forces": False})
    result = compute(replace(inputs, model=orbital), references=references(), n_response=12, n_dimers=2, n_resamples=40)
    found = dict(zip(KEYS, judge(result).findings, strict=True))
    assert found["law"].outcome is Outcome.NOT_APPLICABLE
    assert "HOMO" in found["law"].sentence
    assert "HOMO" in found["dimers"].sentence


@pytest.mark.slow
def test_zoo_model_with_real_references(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    pytest.importorskip("dftd4")
    if "qm9-u0-schnet" not in zoo_names():
        pytest.skip("the zoo has no QM9 model")
    structures = [ase.build.molecule(name) for name in ("CH3CH2OH", "CH3CONH2", "C2H6", "CH3OCH3", "CH3CHO")]
    inputs = inputs_of(load_model("zoo:qm9-u0-schnet"), structures)
    result = compute(inputs, n_response=5, n_dimers=1, n_resamples=20)
    assert not result.failures
    assert result.scans["gfn2"].null_count() == 0
    assert math.isfinite(result.laws["d4"].value)
    assert math.isfinite(result.scores["exponent_response"].effect.value)
    chapter.figure(result).draw_without_rendering()


def test_exponentials_of_different_rates_are_no_power() -> None:
    """With one slope for all elements they look like one: held-out gains say power in every trial."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        r, group, molecule = rng.uniform(2.5, 5.5, 600), rng.integers(4, size=600), np.arange(600) // 20
        rate = np.array([1.0, 2.0, 3.0, 4.0])[group]
        decay = decay_of(r, np.exp(-rate * r + 0.3 * rng.normal(size=600)), group, molecule)
        assert law_preference("", decay, n_resamples=100).high < 0


def test_a_range_for_all_models_of_a_comparison_is_kept_to() -> None:
    inputs = inputs_with(clouds, law(-3.0))
    given = replace(inputs, settings=replace(inputs.settings, distances=(2.5, 3.5)))
    where = find_range(given)
    assert (where.low, where.high, where.tail_end, where.fixed) == (2.5, 3.5, 3.5, True)
    beyond = replace(inputs, settings=replace(inputs.settings, distances=(2.5, 4.8)))
    with pytest.raises(InputError, match=r"the cutoff of 5 Å bends all terms from 4\.5 Å on"):
        find_range(beyond)


def test_pair_forces_of_a_known_law() -> None:
    """Mean r^-7 with scatter that depends on nothing: its power, its scatter, its angle."""
    rng = np.random.default_rng(0)
    n = 4000
    r = rng.uniform(2.0, 6.0, n)
    size = r**-7.0 * 10 ** (0.2 * rng.normal(size=n))
    columns = {"frame": np.arange(n, dtype=np.int32) % 20, "atom": 0, "of": 1, "distance": r, "fx": size, "fy": 0.0}
    table = pl.DataFrame(columns | {"fz": 0.0, "size": size, "along": size, "angle": 12.0})
    score = force_score(table, "", 6.0, n_resamples=100)
    assert score.effect.value == pytest.approx(-7.0, abs=0.05)
    assert score.effect.low < score.effect.value < score.effect.high
    beside = {control.name: control.value for control in score.controls}
    assert beside["angle off the line, degrees"] == 12.0
    bins = force_bins(table)
    assert bins["pairs"].sum() == n
    assert bins["distance"].is_sorted()
    assert math.isnan(force_score(table, "no energy", 6.0).effect.value)
