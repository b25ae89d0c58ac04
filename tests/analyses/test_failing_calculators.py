"""A calculator that fails here and there: what it fails at is left out, and everything else is as it was."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from made_calculators import calculated

from atomlens.analyses import AnalysisInputs, Outcome, Settings
from atomlens.analyses.decay.benchmark_curves import compare_curves
from atomlens.analyses.decay.dimer_scan import make_dimers, scan_dimers
from atomlens.analyses.extensivity.separated_pairs import scan_pairs
from atomlens.analyses.many_body.clusters import cluster_terms, find_clusters
from atomlens.analyses.three_bodies.points import trimer_points
from atomlens.analyses.three_bodies.question import compute, judge
from atomlens.analyses.three_bodies.trimers import MIXTURES, SIZES, make_trimers

MOLECULES = [ase.build.molecule(name) for name in ("H2O", "NH3", "CH4", "CH3OH")]


def springs(atoms: ase.Atoms) -> float:
    distances = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    return float(np.exp(-distances).sum()) + 0.1 * len(atoms)


class Failing:
    """The energy of `springs`; nothing of every structure of so many atoms and more whose number is a multiple."""

    def __init__(self, least: int, every: int) -> None:
        self.least, self.every, self.asked = least, every, 0

    def __call__(self, atoms: ase.Atoms) -> float:
        if len(atoms) >= self.least:
            self.asked += 1
            if self.asked % self.every == 0:
                raise RuntimeError("no density")
        return springs(atoms)


def inputs(energy) -> AnalysisInputs:
    tables = {
        "frames": pl.DataFrame({"frame": range(len(MOLECULES))}),
        "pairs": pl.DataFrame({"frame": [0], "relation": ["bond"]}),
    }
    return AnalysisInputs(model=calculated(energy), structures=MOLECULES, tables=tables, settings=Settings())


def rings(given: AnalysisInputs) -> pl.DataFrame:
    return trimer_points(given, make_trimers(MIXTURES, 4, np.random.default_rng(0)))[0].drop("term")


def clusters(given: AnalysisInputs) -> pl.DataFrame:
    return cluster_terms(given, find_clusters(given, 4, np.random.default_rng(0)))


def dimers(given: AnalysisInputs) -> pl.DataFrame:
    return scan_dimers(given, make_dimers(MOLECULES, 3), None, None, 5.0)[0]


def pairs(given: AnalysisInputs) -> pl.DataFrame:
    return scan_pairs(given, 2, rng=np.random.default_rng(0)).dimers


@pytest.mark.parametrize(
    ("asked", "least", "every"), [(rings, 9, 10), (clusters, 9, 3), (dimers, 6, 4), (pairs, 6, 20)]
)
def test_what_fails_is_left_out_and_the_rest_is_unchanged(asked, least: int, every: int) -> None:
    whole, given = asked(inputs(springs)), inputs(Failing(least, every))
    found = asked(given)
    assert 0 < len(found) < len(whole)
    assert len(found.join(whole, on=found.columns, how="inner", nulls_equal=True)) == len(found)
    (reason,) = given.model.failures  # pyright: ignore[reportAttributeAccessIssue]
    assert reason == "made:up failed (RuntimeError: no density)"


@pytest.mark.parametrize("asked", [rings, clusters, dimers, pairs])
def test_nothing_is_left_of_a_calculator_that_fails_at_all_pairs(asked) -> None:
    assert len(asked(inputs(Failing(6, 1)))) == 0


@pytest.mark.parametrize("every", [40, 1])
def test_rings_that_are_left_are_judged(every: int) -> None:
    result = compute(inputs(Failing(9, every)), energy=springs)
    assert set(result.points.group_by("trimer").len()["len"].to_list()) <= {len(SIZES)}
    verdict = judge(result)
    assert len(verdict.findings) >= 1
    assert (verdict.outcome is Outcome.CANNOT_TELL) or every > 1


def test_controls_of_benchmark_curves_are_named_after_what_is_compared() -> None:
    values, curves = np.arange(12.0), np.repeat([0, 1, 2], 4)
    scores = [
        compare_curves(values, values, values + 1.0, curves, *source, seed=0, n_resamples=10)
        for source in ((), ("energies",))
    ]
    of_terms, of_energies = ([score.effect.name, *(control.name for control in score.controls)] for score in scores)
    assert of_terms[1:3] == ["shuffled group terms", "group terms shuffled along each curve"]
    assert "terms" not in " ".join(of_energies)
