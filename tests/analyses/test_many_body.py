"""Many-body character: verdicts on known answers, clusters, and a run on small models."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from explained import inputs_of

from atomlens import load_model
from atomlens.analyses import Control, Effect, Finding, Outcome
from atomlens.analyses.assemblies import joined, predictions
from atomlens.analyses.many_body import clusters as clusters_module
from atomlens.analyses.many_body.clusters import BUILT, OF_THE_SET, WATER, cluster_terms, find_clusters
from atomlens.analyses.many_body.question import ManyBodyResult, compute, judge
from atomlens.analyses.verdict import decide_within
from atomlens.folders import load_result, save_result
from atomlens.reference.unavailable import ReferenceUnavailable
from atomlens.report.chapters.many_body import figure
from samples import small_model

MOLECULES = [ase.build.molecule(name) for name in ("H2O", "CH4", "CH3OH", "C2H6", "NH3", "HCN", "CH3CN", "C2H4")]


def synthetic(
    *,
    triples: float = 0.1,
    triples_untrained: float = 3.0,
    slope: float = 1.0,
    noise: float = 0.1,
    reference_noise: float = 0.3,
    three_body: float = 0.1,
    untrained: float = 0.0,
    n_clusters: int = 40,
) -> ManyBodyResult:
    """Terms that removals follow with a slope and noise; triples that carry a part of what pairs carry."""
    rng = np.random.default_rng(0)
    n = 50
    two = rng.uniform(1, 2, n)

    def strengths(part: float) -> pl.DataFrame:
        values = {"frame": np.arange(n), "n_atoms": 9, "strength_1": 1.0, "strength_2": two, "remainder": 0.01}
        values |= {"strength_3": part * two * np.exp(0.1 * rng.normal(size=n))}
        return pl.DataFrame(values | {"terms_1": 9, "terms_2": 30, "terms_3": 100, "range_2": 2.0, "range_3": 3.0})

    rows = []
    for cluster in range(n_clusters):
        for order, members in [(2, "0-1"), (2, "0-2"), (2, "1-2"), (3, "0-1-2")]:
            term = rng.normal() * (1.0 if order == 2 else three_body)
            size = 1.0 if order == 2 else three_body
            true = rng.normal() * size
            row = {"cluster": cluster, "family": BUILT, "order": order, "molecules": members, "gap": rng.uniform(2, 4)}
            row |= {"term": term, "removal": slope * term + noise * true, "xtb": term + reference_noise * true}
            fresh = untrained * term + (1 - untrained) * rng.normal()
            rows.append(row | {"untrained_term": fresh, "untrained_removal": fresh})
    return ManyBodyResult(
        property="energy",
        unit="eV",
        kind="sum",
        reason="by definition",
        molecules=strengths(triples),
        untrained=strengths(triples_untrained).with_columns(pl.lit(0).alias("seed")),
        ranges=pl.DataFrame({"order": [1, 2], "low": [0.0, 1.0], "high": [1.0, np.inf], "share": [0.2, 0.8]}),
        terms=pl.DataFrame(rows),
        terms_missing="",
        reference_missing="",
        seed=0,
    )


def findings(result: ManyBodyResult) -> list[Finding]:
    return list(judge(result).findings)


def test_what_holds_agrees() -> None:
    verdict = judge(synthetic())
    assert [f.outcome for f in verdict.findings] == [Outcome.AGREES] * 7
    assert verdict.outcome is Outcome.AGREES


@pytest.mark.parametrize(
    ("changes", "deviating"),
    [
        ({"triples": 3.0}, [0]),
        ({"slope": -1.0}, [1, 2, 3]),
        ({"slope": 4.0}, [2]),
        ({"reference_noise": 9.0}, [4]),
    ],
)
def test_what_does_not_hold_deviates(changes: dict[str, float], deviating: list[int]) -> None:
    found = findings(synthetic(**changes))
    assert {k for k, f in enumerate(found) if f.outcome is Outcome.DEVIATES} >= set(deviating)
    untouched = {0, 1, 2, 3} - set(deviating)
    assert all(found[k].outcome is Outcome.AGREES for k in untouched)


def test_three_bodies_that_share_too_much_deviate() -> None:
    result = synthetic()
    three = pl.col("order") == 3
    large = pl.when(three).then(20 * pl.col("term")).otherwise(pl.col("term"))
    assert (
        findings(replace(result, terms=result.terms.with_columns(large.alias("term"))))[-1].outcome is Outcome.DEVIATES
    )


def test_untrained_models_and_few_clusters_take_verdicts_away() -> None:
    assert findings(synthetic(triples_untrained=0.01))[0].outcome is Outcome.CANNOT_TELL
    assert findings(synthetic(untrained=1.0))[4].outcome is Outcome.CANNOT_TELL
    few = findings(synthetic(n_clusters=4))
    assert {f.outcome for f in few[1:]} == {Outcome.CANNOT_TELL}


def test_a_band_folds_into_a_threshold() -> None:
    inside = Effect("score", 0.6, 0.5, 0.7, 9)
    assert decide_within(inside, (0.0, 1.0)) is Outcome.AGREES
    assert decide_within(replace(inside, high=1.2), (0.0, 1.0)) is Outcome.CANNOT_TELL
    assert decide_within(Effect("score", -2, -3, -1, 9), (0.0, 1.0)) is Outcome.DEVIATES
    assert decide_within(inside, (0.0, 1.0), (Control("shuffled", 0.45),)) is Outcome.CANNOT_TELL
    assert decide_within(Effect("score", 0.6), (0.0, 1.0)) is Outcome.CANNOT_TELL


@pytest.mark.slow
def test_terms_and_removals_add_up_to_the_cluster() -> None:
    model = small_model("schnet", cutoff=4.0)
    inputs = inputs_of(model, MOLECULES[:4], with_untrained=False)
    clusters = find_clusters(inputs, 5, np.random.default_rng(0))
    assert {c.family for c in clusters} == {BUILT, WATER}
    table = cluster_terms(inputs, clusters)
    for number, cluster in enumerate(clusters):
        own = table.filter(pl.col("cluster") == number)
        assert own["order"].to_list() == [2, 2, 2, 3]
        parts = [cluster.atoms[list(part)] for part in cluster.molecules]
        together, *alone = predictions(model, [cluster.atoms, *parts])
        assert own["removal"].sum() == pytest.approx(together - sum(alone), rel=1e-9, abs=1e-9)
        gaps = [
            np.linalg.norm(a.positions[:, None] - b.positions[None], axis=-1).min() for a, b in combinations(parts, 2)
        ]
        assert own["gap"].to_list() == pytest.approx([*gaps, max(gaps)])
        # What does not see each other has no term; the cutoff is 4 Å.
        blind = own.filter(pl.col("order") == 2, pl.col("gap") > 4.0)
        assert (blind["term"] == 0).all()
        assert blind["removal"].to_numpy() == pytest.approx(np.zeros(len(blind)), rel=1e-9, abs=1e-9)
    assert (table["term"] != 0).mean() > 0.5


def test_clusters_of_the_set_come_first() -> None:
    water = ase.build.molecule("H2O")
    pairs = [
        joined([water, ase.Atoms(water.numbers, water.positions + (2.0 + 0.1 * k) * np.array([0, 0, 1]))])
        for k in range(11)
    ]
    inputs = inputs_of(small_model(), [*pairs, *MOLECULES[:2]], with_untrained=False)
    clusters = find_clusters(inputs, 10, np.random.default_rng(0))
    assert [c.family for c in clusters] == [OF_THE_SET] * 10 + [WATER] * 5
    assert all(c.molecules == ((0, 1, 2), (3, 4, 5)) for c in clusters[:10])


@pytest.mark.slow
def test_run_on_an_energy_model(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    told: list[str] = []
    inputs = inputs_of(small_model(), MOLECULES)
    result = compute(inputs, progress=lambda what, done, total: told.append(what), n_clusters=2)
    assert {"clusters", "GFN2 energies of clusters"} == set(told)
    assert result.terms["xtb"].null_count() == 0
    save_result(result, tmp_path / "x")
    verdict = judge(result)
    # Compared as text: where a control has no score, NaN is not NaN.
    assert str(judge(load_result(ManyBodyResult, tmp_path / "x"))) == str(verdict)
    assert len(verdict.findings) == 7
    figure(result).draw_without_rendering()


def test_without_a_reference_the_model_is_asked_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_energy(atoms: ase.Atoms) -> float:
        raise ReferenceUnavailable("it does not converge")

    monkeypatch.setattr(clusters_module, "gfn2_energy", no_energy)
    result = compute(inputs_of(small_model(), MOLECULES[:3]), n_clusters=1)
    save_result(result, tmp_path / "x")
    found = findings(load_result(ManyBodyResult, tmp_path / "x"))
    assert found[-1].sentence == "It does not converge."
    assert found[-1].outcome is Outcome.CANNOT_TELL
    figure(result).draw_without_rendering()


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({"property": "HOMO", "extensive": False, "has_forces": False}, "means nothing"),
        ({"property": "Cv", "unit": "cal/mol/K", "has_forces": False}, "no energy"),
    ],
)
def test_other_properties_cannot_be_held_against_energies(output: dict[str, object], reason: str) -> None:
    result = compute(inputs_of(small_model(output=output), MOLECULES[:3]), n_clusters=1)
    last = findings(result)[-1]
    assert last.outcome is Outcome.NOT_APPLICABLE
    assert reason in last.sentence
    figure(result).draw_without_rendering()


@pytest.mark.parametrize("structures", [[ase.Atoms("H")], [ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]])]])
def test_too_few_atoms_are_no_error(structures: list[ase.Atoms]) -> None:
    verdict = judge(compute(inputs_of(small_model(), structures), n_clusters=1))
    assert {f.outcome for f in verdict.findings} == {Outcome.CANNOT_TELL}
    assert "three atoms" in verdict.findings[0].sentence


def test_pairs_alone_tell_nothing_of_triples() -> None:
    inputs = inputs_of(small_model(), MOLECULES[:2])
    pairs = {name: table for name, table in inputs.tables.items() if name != "triples"}
    result = compute(replace(inputs, tables=pairs, untrained=[]), n_clusters=1)
    assert "not computed" in findings(result)[0].sentence


def test_periodic_structures_make_no_cluster() -> None:
    cell = ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]], cell=[9, 9, 9], pbc=True)
    result = compute(inputs_of(small_model(), [cell]), n_clusters=1)
    assert "No structure of the set" in findings(result)[-1].sentence


def test_a_shipped_model_has_terms_for_water() -> None:
    inputs = inputs_of(load_model("zoo:qm9-u0-schnet"), MOLECULES[:1], with_untrained=False)
    clusters = [c for c in find_clusters(inputs, 2, np.random.default_rng(0)) if c.family == WATER]
    table = cluster_terms(inputs, clusters)
    assert len(table) == 4
    assert (table["term"].abs() > 1e-6).any()
