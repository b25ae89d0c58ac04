"""Dimers pulled apart, and benchmark curves, in the question of decay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from decay_worlds import WHERE, law, references, with_curves
from explained import inputs_of
from pair_tables import clouds, inputs_with

from atomlens.analyses import AnalysisInputs, Outcome
from atomlens.analyses.decay import benchmark_curves
from atomlens.analyses.decay.benchmark_curves import curve_score
from atomlens.analyses.decay.dimer_scan import START, make_dimers, scan_dimers
from atomlens.analyses.decay.dimer_scores import score_dimers
from atomlens.analyses.decay.distance_range import find_range
from atomlens.analyses.decay.judgement import CLAIMS
from atomlens.analyses.decay.question import compute
from atomlens.interactions import Interactions, Terms
from atomlens.models import LongRangeConfig
from atomlens.reference import Dimer
from samples import small_model


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
