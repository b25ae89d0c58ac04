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
from explained import inputs_of
from pair_tables import clouds, inputs_with
from scipy.spatial.distance import cdist

from atomlens import InputError, load_model
from atomlens.analyses import AnalysisInputs, Finding, Outcome
from atomlens.analyses.decay import benchmark_curves
from atomlens.analyses.decay.benchmark_curves import curve_score
from atomlens.analyses.decay.dimer_scan import START, make_dimers, scan_dimers
from atomlens.analyses.decay.dimer_scores import score_dimers
from atomlens.analyses.decay.distance_range import DecayRange, find_range
from atomlens.analyses.decay.judgement import CLAIMS
from atomlens.analyses.decay.laws import decay_of, exponent, exponent_effect, law_gain, law_preference
from atomlens.analyses.decay.pair_forces import force_bins, force_score
from atomlens.analyses.decay.pairs import References
from atomlens.analyses.decay.question import DecayResult, compute, judge
from atomlens.analyses.decay.scores import _growth, score_pairs
from atomlens.analyses.verdict import decide
from atomlens.folders import load_result, save_result
from atomlens.interactions import Interactions, Terms
from atomlens.models import LongRangeConfig, zoo_names
from atomlens.reference import Dimer, ReferenceUnavailable
from atomlens.report.chapters import decay as chapter
from samples import small_model


def with_curves(inputs: AnalysisInputs, name: str) -> AnalysisInputs:
    return replace(inputs, settings=replace(inputs.settings, s66x8=Path(name)))


def power(n: float) -> Callable[[ase.Atoms], np.ndarray]:
    """Pair matrix r^n, with a little scatter that is the same every time."""

    def matrix(atoms: ase.Atoms) -> np.ndarray:
        r = cdist(atoms.positions, atoms.positions) + np.eye(len(atoms))
        return r**n * np.exp(0.05 * np.sin(1e3 * r))

    return matrix


def flat(atoms: ase.Atoms) -> np.ndarray:
    """A pair matrix of noise, the same every time."""
    return np.abs(np.sin(1e3 * power(1.0)(atoms)))


def references(n: float = -5.0, own: float | None = None, model: object = None) -> References:
    """Couplings r^n: second derivatives of energies r^(n + 2); r^own of `model`, noise of other models."""

    def own_response(asked: object, atoms: ase.Atoms) -> np.ndarray:
        return power(n if own is None else own)(atoms) if model is None or asked is model else flat(atoms)

    return References(response=power(n), dispersion=power(-6.0), own_response=own_response, energy=lambda atoms: 0.0)


WHERE = DecayRange("energy", "eV", True, 5.0, False, 10.0, 6.0, "given", 2.5, 4.5, 20)


def wide(terms: Callable[[np.ndarray, np.random.Generator], np.ndarray], n: int = 200, seed: int = 0) -> pl.DataFrame:
    """A table of non-bonded pairs of 20 molecules with made-up terms; couplings fall as r^-5."""
    rng = np.random.default_rng(seed)
    r = rng.uniform(2.5, 4.99, n)
    coupling = r**-5.0 * np.exp(0.1 * rng.normal(size=n))
    others = dict.fromkeys(("model_response", "untrained_response", "gfn2_response", "d4"), coupling)
    frame = np.arange(n, dtype=np.int32) % 20
    columns = {"frame": frame, "species": ["C C"] * n, "distance": r, "term": terms(r, rng)}
    fresh = {name: rng.normal(size=n) for name in ("untrained", "untrained/1", "untrained/2")}
    return pl.DataFrame({**columns, **fresh, **others})


def law(n: float = 0.0, rate: float = 0.0) -> Callable[[pl.DataFrame], np.ndarray]:
    """Terms -r^n exp(-rate r) with scatter."""

    def terms(pairs: pl.DataFrame) -> np.ndarray:
        r = pairs["distance"].to_numpy()
        return -(r**n) * np.exp(-rate * r) * np.exp(0.05 * np.random.default_rng(2).normal(size=len(r)))

    return terms


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


def dimer_scans(model: Callable[[np.ndarray], np.ndarray], n: int, flipped: int = 0) -> pl.DataFrame:
    """Scans whose GFN2 energy is r^-3 or -r^-3 in turn; the terms of the first `flipped` dimers turn about at 4 Å."""
    gap = np.arange(2.0, 6.0, 0.2)
    parts = []
    for k in range(n):
        term = model(gap) * np.exp(0.05 * np.random.default_rng(k).normal(size=len(gap)))
        if k < flipped:
            term = np.where(gap > 4.0, -term, term)
        sign = (-1.0) ** k
        columns = {"gap": gap, "separation": gap, "group_term": sign * term, "gfn2": sign * gap**-3.0}
        columns["interaction"] = columns["group_term"]
        parts.append(pl.DataFrame({"dimer": np.full(len(gap), k), **columns}))
    return pl.concat(parts)


def told_of_dimers(scans: pl.DataFrame) -> dict[str, Outcome]:
    rng = np.random.default_rng(0)
    untrained = [scans.with_columns(pl.Series("group_term", rng.normal(size=len(scans)))) for _ in range(3)]
    scores = score_dimers(scans, untrained, WHERE, seed=0, n_resamples=60)
    return {key: CLAIMS[key].decide(scores[key].effect, scores[key].controls) for key in ("dimer_exponent", "sign")}


def test_dimers_that_fall_as_the_reference_agree_and_others_deviate() -> None:
    same = told_of_dimers(dimer_scans(lambda r: 0.3 * r**-3.0, 40))
    assert same == {"dimer_exponent": Outcome.AGREES, "sign": Outcome.AGREES}
    assert told_of_dimers(dimer_scans(lambda r: r**-9.0, 40))["dimer_exponent"] is Outcome.DEVIATES
    assert told_of_dimers(dimer_scans(lambda r: r**-3.0, 40, flipped=30))["sign"] is Outcome.DEVIATES
    # That none of twenty flips does not show that fewer than one in ten do.
    assert told_of_dimers(dimer_scans(lambda r: r**-3.0, 20))["sign"] is Outcome.CANNOT_TELL


@pytest.mark.slow
def test_energies_of_all_pairs_are_judged_beyond_the_cutoff() -> None:
    long_range = LongRangeConfig("coulomb+dispersion")
    model = small_model("schnet", cutoff=4.0, long_range=long_range)
    plain = small_model("schnet", cutoff=4.0)
    inputs = inputs_with(clouds, law(-3.0))
    reaching, blind = (find_range(replace(inputs, model=m), 9.0) for m in (model, plain))
    assert (reaching.high, blind.high) == (9.0, 3.5)
    assert (reaching.tail_end, blind.tail_end) == (9.0, 3.5)
    assert find_range(replace(inputs, model=model), 30.0).scanned == 10.0
    result = compute(replace(inputs, model=model), references=references(), n_response=4, n_dimers=0, n_resamples=20)
    assert "energies of all pairs" in result.scores["edge"].missing


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


def test_dimers_are_pulled_along_their_centres() -> None:
    structures = [ase.build.molecule("H2O"), ase.build.molecule("CH4")]
    for dimer in make_dimers(structures, 5, seed=1):
        assert dimer.gap == pytest.approx(START)
        pulled = dimer.pulled(1.5)
        assert pulled.separation == pytest.approx(dimer.separation + 1.5)
        assert dimer.gap == pytest.approx(START)  # the first is left alone
        first, second = pulled.parts
        assert pulled.atoms[first].get_all_distances() == pytest.approx(dimer.atoms[first].get_all_distances())
        assert pulled.atoms[second].get_all_distances() == pytest.approx(dimer.atoms[second].get_all_distances())
    crystal = ase.Atoms("H2O", cell=[9, 9, 9], pbc=True, positions=structures[0].positions)
    assert make_dimers([crystal, structures[0] + structures[1]], 3) == []


def test_scan_conserves_and_ends_beyond_the_cutoff() -> None:
    inputs = inputs_of(small_model("painn", cutoff=4.0), [ase.build.molecule("H2O")], with_untrained=False)
    dimers = make_dimers(inputs.structures, 2)
    table, failures = scan_dimers(inputs, dimers, lambda atoms: float(len(atoms) ** 2), None, 5.0)
    assert not failures
    assert table["gfn2"].to_list() == pytest.approx([18.0] * len(table))  # 6^2 - 3^2 - 3^2
    far = table.filter(pl.col("gap") > 4.0)
    assert len(far)
    assert far["group_term"].abs().max() == 0.0
    assert far["interaction"].abs().max() < 1e-9
    assert table.filter(pl.col("gap") < 3.0)["group_term"].abs().min() > 0


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
    chapter.figure(loaded).savefig(tmp_path / "a.svg")


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
    chapter.figure(result).savefig(tmp_path / "a.svg")


def test_benchmark_curves_of_a_known_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six dimers whose terms are their energies: perfect; with the sign turned: reversed."""
    rng = np.random.default_rng(0)
    water, parts = ase.build.molecule("H2O"), (np.arange(3), np.arange(3, 6))
    dimers = [
        Dimer(k, "water", f, water + water, parts, 5.0 * k - depth / f, np.zeros((6, 3)))
        for k, depth in enumerate(rng.uniform(1, 2, size=6))
        for f in (0.9, 1.0, 1.25, 1.5, 2.0)
    ]
    asked: list[float] = []

    class Explained:
        def group_interactions(self, groups: list[list[int]]) -> Interactions:
            assert groups == [[0, 1, 2], [3, 4, 5]]
            pair = Terms(np.array([[0, 1]]), np.array([sign * asked.pop(0)]))
            return Interactions((Terms(np.zeros((0, 1), dtype=np.int64), np.zeros(0)), pair), 0.0)

    monkeypatch.setattr(benchmark_curves, "read_s66x8", lambda path: dimers)
    monkeypatch.setattr(AnalysisInputs, "explained", lambda *_: Explained())
    inputs = with_curves(inputs_with(clouds, law(-3.0)), "s66x8.h5")
    for sign in (1.0, -1.0):
        # Constants of the curves do not matter.
        asked[:] = [dimer.energy + 3.0 * dimer.system for dimer in dimers if dimer.factor >= 1.0]
        score = curve_score(inputs, seed=0, n_resamples=20)
        assert score.effect.value == pytest.approx(sign)
        assert abs(next(c.value for c in score.controls if c.is_null)) < 0.5


def test_benchmark_curves_that_cannot_be_had() -> None:
    inputs = inputs_with(clouds, law(-3.0))
    assert "no file" in curve_score(inputs, seed=0, n_resamples=20).missing
    pytest.importorskip("h5py")
    assert "no such file" in curve_score(with_curves(inputs, "nowhere.h5"), seed=0, n_resamples=20).missing


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
