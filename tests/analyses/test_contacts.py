"""Contacts of two molecules: points against brute force, scores of known answers, what cannot be told."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import polars as pl
import pytest
import torch
from ase.units import kcal, mol
from made_calculators import calculated
from scipy.spatial.distance import cdist, pdist
from scipy.special import erf
from scipy.stats import spearmanr

from atomlens.analyses import AnalysisInputs, ContactsResult, Outcome, Settings
from atomlens.analyses.contacts.points import dimer_points, known_curves
from atomlens.analyses.contacts.question import CLAIMS, compute, judge
from atomlens.analyses.contacts.scores import charge_score, curve_ranks, rank_score
from atomlens.analyses.statistics import median_effect
from atomlens.folders import load_result, save_result
from atomlens.models.long_range import COULOMB
from atomlens.reference import ReferenceUnavailable, read_nciatlas
from atomlens.report.answers import meaning
from atomlens.report.chapters import contacts as chapter
from dimer_files import FACTORS, energy, write_set
from samples import long_range_model, small_model

DIMERS = [("H2O", "H2O"), ("NH3", "H2O")]
FEW = (0.8, 0.9, 1.0, 1.5, 2.0)


def inputs(model: object, *files: Path) -> AnalysisInputs:
    return AnalysisInputs(model=model, structures=[], tables={}, settings=Settings(dimers=files))  # pyright: ignore[reportArgumentType]


def test_points_are_those_of_brute_force(tmp_path: Path) -> None:
    model = long_range_model("schnet", "coulomb", n_layers=1, balance="none")
    path = write_set(tmp_path, "MADE_x10", DIMERS, charges=(1, 0))
    curves = read_nciatlas(path)
    table, reason = dimer_points(inputs(model, path), curves, energy=lambda atoms: len(atoms) ** 2.0)
    assert reason == ""
    assert len(table) == len(DIMERS) * len(FACTORS)
    for row in table.iter_rows(named=True):
        curve = curves[row["curve"]]
        k = FACTORS.index(row["factor"])
        atoms, (a, b) = curve.structures[k], curve.monomers
        alone = sum(model.predict(part).energy for part in curve.alone[k])
        assert row["interaction"] == pytest.approx(model.predict(atoms).energy - alone, abs=1e-9)
        graph = model.graph(atoms)
        with torch.no_grad():
            q = model.long_range.charges(model.representation(graph), graph, model.representation.cutoff).numpy()
        r = cdist(atoms.positions, atoms.positions)[np.ix_(a, b)]
        clouds = COULOMB * np.outer(q[a], q[b]) * erf(r / model.config.long_range.charge_length) / r
        # The model's scale does not act on charges.
        assert row["charges"] == pytest.approx(clouds.sum(), rel=1e-9)
        assert row["gap"] == pytest.approx(r.min())
        # One layer visits two atoms at most: what two molecules share is the sum of their pairs.
        assert row["pair_terms"] == pytest.approx(row["group_term"], abs=1e-9)
        assert row["gfn2"] == (len(a) + len(b)) ** 2 - len(a) ** 2 - len(b) ** 2
        number = row["curve"] + 1
        assert row["benchmark"] == pytest.approx(energy(number, row["factor"]) * kcal / mol, abs=1e-4)


def test_terms_of_more_than_two_atoms_are_in_the_group_term_alone(tmp_path: Path) -> None:
    path = write_set(tmp_path, "MADE_x10", DIMERS[:1])
    table, _ = dimer_points(inputs(small_model("schnet", n_layers=2, cutoff=4.0)), read_nciatlas(path))
    assert (table["pair_terms"] - table["group_term"]).abs().max() > 1e-6  # pyright: ignore[reportOperatorIssue]
    assert table["charges"].null_count() == len(table)


def test_a_reference_that_fails_leaves_its_reason(tmp_path: Path) -> None:
    def failing(atoms: object) -> float:
        raise ReferenceUnavailable("no such program")

    path = write_set(tmp_path, "MADE_x10", DIMERS[:1])
    table, reason = dimer_points(inputs(small_model()), read_nciatlas(path), energy=failing)
    assert reason == "no such program"
    assert table["gfn2"].null_count() == len(table)


def test_elements_that_the_model_does_not_know_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write_set(tmp_path, "MADE_x10", [*DIMERS, ("HCl", "H2O"), ("HCl", "SiH4"), ("SH2", "H2O")], factors=FEW)
    kept, left_out = known_curves(small_model(), read_nciatlas(path))
    assert [curve.system for curve in kept] == ["1.01", "2.01"]
    assert left_out == {"Cl": 2, "Si": 1, "S": 1}
    found = compute(inputs(small_model(), path), energy=None, n_untrained=0)
    assert (found.n_curves, found.n_left_out, found.points["curve"].n_unique()) == (5, 3, 2)
    assert "3 more have elements that the model does not know (Cl in 2, S" in judge(found).findings[0].sentence
    none = compute(inputs(small_model(), write_set(tmp_path, "NONE_x10", [("HCl", "HCl")])), energy=None)
    told = judge(none).findings[0]
    assert told.outcome is Outcome.CANNOT_TELL
    assert "no dimer has elements that the model knows (Cl in 1 are unknown)" in told.sentence.lower().replace(
        "cl in", "Cl in"
    )


def points(n: int = 12, seed: int = 0) -> pl.DataFrame:
    """Curves whose benchmark is a Morse curve."""
    rng = np.random.default_rng(seed)
    curve = np.repeat(np.arange(n), len(FACTORS))
    factor = np.tile(FACTORS, n)
    known = np.array([energy(int(k), f) for k, f in zip(curve, factor, strict=True)])
    return pl.DataFrame(
        {
            "curve": curve,
            "factor": factor,
            "separation": 3.0 * factor,
            "charge_1": np.where(curve % 2, 1, 0),
            "charge_2": np.zeros(len(curve), dtype=int),
            "benchmark": known,
            "electrostatics": -1.0 / factor * rng.uniform(0.5, 1.5, n)[curve],
            "noise": rng.normal(size=len(curve)),
            "none": np.zeros(len(curve)),
        }
    )


def test_ranks_of_known_answers() -> None:
    table = points().with_columns(right=pl.col("benchmark") * 3 + pl.col("curve"), wrong=-pl.col("benchmark"))
    assert curve_ranks(table, "right", "benchmark") == pytest.approx(np.ones(12))
    assert curve_ranks(table, "wrong", "benchmark") == pytest.approx(-np.ones(12))
    assert curve_ranks(table, "none", "benchmark") == pytest.approx(np.zeros(12))
    # Rows in any order, and curves of several lengths, against SciPy one by one.
    rng = np.random.default_rng(1)
    some = table.filter(pl.Series(rng.random(len(table)) < 0.7)).sample(fraction=1.0, shuffle=True, seed=1)
    parts = some.sort("curve").partition_by("curve")
    known = [spearmanr(part["noise"], part["benchmark"])[0] for part in parts if len(part) >= 5]
    assert curve_ranks(some, "noise", "benchmark") == pytest.approx(known)


def test_distance_alone_scores_what_a_falling_curve_scores() -> None:
    table = points().with_columns(attraction=-1.0 / pl.col("factor"))
    score = rank_score(table, "attraction", "benchmark")
    alone = next(control for control in score.controls if control.name == "distance alone")
    assert score.effect.value == pytest.approx(alone.value)
    assert rank_score(table, "benchmark", "benchmark").effect.value == pytest.approx(1.0)
    assert "no curve" in rank_score(table.with_columns(benchmark=None), "noise", "benchmark").missing


def test_only_ions_from_one_and_a_half_distances_on_are_compared_with_electrostatics() -> None:
    far_ions = (pl.col("factor") >= 1.5) & (pl.col("charge_1") == 1)
    right = pl.when(far_ions).then(2.0 * pl.col("electrostatics")).otherwise(pl.col("noise"))
    table = points(n=24).with_columns(charges=right)
    score = charge_score(table, [table.with_columns(charges=pl.col("noise"))], n_resamples=100)
    assert score.effect.value == pytest.approx(1.0)
    assert score.effect.n == 12
    assert charge_score(table.with_columns(charges=None)).inapplicable
    neutral = table.with_columns(charge_1=pl.lit(0))
    assert "no ionic dimer" in charge_score(neutral).missing


def test_the_interval_of_a_median_holds_it_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        effect = median_effect("", rng.exponential(size=15))
        held += effect.low <= math.log(2) <= effect.high
    assert 0.93 <= held / 400 <= 0.995  # exactly 0.965 for 15 values
    assert not median_effect("", np.arange(9.0)).has_interval


def sizes(atoms: ase.Atoms) -> float:
    """An energy that falls with the distance of the first atom from the last."""
    return -1.0 / (1.0 + float(np.linalg.norm(atoms.positions[0] - atoms.positions[-1]))) if len(atoms) > 2 else 0.0


def test_a_run_on_a_small_set(tmp_path: Path) -> None:
    path = write_set(tmp_path, "MADE_x10", [("HF", "HF")] * 10, factors=FEW, charges=(1, 0))
    model = long_range_model("schnet", "coulomb", n_layers=1)
    result = compute(inputs(model, path), energy=sizes, n_untrained=1, n_resamples=50)
    save_result(result, tmp_path / "stored")
    again = load_result(type(result), tmp_path / "stored")
    assert judge(again) == judge(result)
    outcomes = [finding.outcome for finding in judge(result).findings]
    assert outcomes[3] is Outcome.DESCRIPTIVE
    assert judge(result).findings[0].effect.n == 10  # pyright: ignore[reportOptionalMemberAccess]
    chapter.figure(result).draw_without_rendering()
    without = write_set(tmp_path, "BARE_x10", [("H2O", "HF")], factors=FEW, charges=(1, 0), sapt=False)
    bare = compute(inputs(model, without), energy=None, n_untrained=0, n_resamples=50)
    told = judge(bare).findings[2]
    assert told.outcome is Outcome.CANNOT_TELL
    assert "BARE_x10_dft-sapt_pbe0.txt" in told.sentence
    chapter.figure(bare).draw_without_rendering()


def test_what_is_no_energy_is_not_asked(tmp_path: Path) -> None:
    path = write_set(tmp_path, "MADE_x10", DIMERS[:1])
    model = small_model(output={"extensive": False, "property": "homo"})
    asked = replace(inputs(model, path), unit="eV")
    found = compute(asked, energy=None)
    assert {finding.outcome for finding in judge(found).findings} == {Outcome.NOT_APPLICABLE}
    chapter.figure(found).draw_without_rendering()
    assert "--dimers" in judge(compute(inputs(small_model()), energy=None)).findings[0].sentence


def asked(path: Path, sign: float) -> ContactsResult:
    """The question to a calculator with walls and tails between molecules, or with both upside down."""

    def wall_and_tail(atoms: ase.Atoms) -> float:
        near = pdist(atoms.positions)
        near = near[near > 1.7]  # bonds and angles do not change
        return sign * float(((1.9 / near) ** 12 - (1.9 / near) ** 6).sum())

    found = compute(inputs(calculated(wall_and_tail), path), energy=None)
    curve = read_nciatlas(path)[0]
    alone = sum(wall_and_tail(part) for part in curve.alone[2])
    assert found.points["interaction"][2] == pytest.approx(wall_and_tail(curve.structures[2]) - alone)
    assert found.points["pair_terms"].null_count() == len(found.points) == 12 * len(FACTORS)
    return found


@pytest.mark.parametrize(("sign", "outcome"), [(1.0, Outcome.AGREES), (-1.0, Outcome.DEVIATES)])
def test_energies_of_a_calculator_decide_and_terms_do_not_apply(tmp_path: Path, sign: float, outcome: Outcome) -> None:
    found = asked(write_set(tmp_path, "MADE_x10", DIMERS * 6), sign)
    verdict = judge(found)
    assert verdict.outcome is outcome
    by_claim = {finding.claim: finding for finding in verdict.findings}
    decides = by_claim.pop(CLAIMS["energy"].text)
    assert decides.outcome is outcome
    assert {control.name for control in decides.controls} >= {"energies shuffled along each curve"}
    assert {finding.outcome for finding in by_claim.values()} == {Outcome.NOT_APPLICABLE}
    assert "neither terms nor charges" in by_claim[CLAIMS["terms"].text].sentence
    assert chapter.figure(found).axes
    means = meaning(verdict, has_terms=False)
    assert means is not None
    assert "terms" not in means.use.lower()
