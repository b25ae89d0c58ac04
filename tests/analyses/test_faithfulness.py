"""The question of faithfulness: its scores, and the judgement of made-up results."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
import torch

from atomlens import explain, load_model
from atomlens.analyses import AnalysisInputs, Effect, Outcome, Settings, molecule_effect
from atomlens.analyses.faithfulness import question
from atomlens.analyses.faithfulness.deletion import (
    walks_through_atoms,
)
from atomlens.analyses.faithfulness.deletion_table import controls_of, deletion_scores, effect_of, empty_table
from atomlens.analyses.faithfulness.known_terms import UNTRAINED, known_scores, stored_known_scores
from atomlens.analyses.faithfulness.question import FaithfulnessResult, compute, judge
from atomlens.folders import load_result, save_result
from atomlens.models import Potential
from atomlens.reference.known import known_names, known_potential
from samples import branched, small_model


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short bootstrap, where limits do not matter: every call is checked while tests run."""
    for home in ("known_terms", "deletion_table"):
        monkeypatch.setattr(
            f"atomlens.analyses.faithfulness.{home}.molecule_effect", partial(molecule_effect, n_resamples=20)
        )
    fewer = [("gate", "scalar"), ("gate", "full"), ("gradient", "full")]
    monkeypatch.setattr(question, "rule_names", lambda model: fewer)


@pytest.mark.usefixtures("few_draws")
def test_scores_of_an_untrained_model_have_every_method() -> None:
    torch.manual_seed(1)
    config = small_model("painn", n_features=8, cutoff=5.0).config
    model = Potential(replace(config, representation=replace(config.representation, max_z=37)))
    extra = {"constant": lambda values, pairs: np.ones(len(pairs))}
    table = known_scores(model, known_potential("axilrod-teller"), n_clusters=5, of_subsets=extra)
    names = set(table.filter(pl.col("order") == 2)["method"])
    assert {"terms gate/scalar", "terms gradient/full", "plain removal", "integrated Hessians", "constant"} <= names
    assert np.isnan(table.filter(pl.col("method") == "constant")["correlation"].item())
    assert table.filter(pl.col("order") == 3)["correlation"].is_finite().all()
    assert table["correlation"].drop_nans().abs().max() < 1.0


def made_up(kind: str, noise: float, n: int = 12, sign: float = 1.0) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=10 * n)
    whole = {"atom_1": 0, "atom_2": 1, "element_1": 6, "element_2": 1}
    return pl.DataFrame(
        {
            "frame": np.repeat(np.arange(n), 10).astype(np.int32),
            "kind": [kind] * (10 * n),
            "method": ["gate/scalar"] * (10 * n),
            "distance": rng.uniform(1, 5, 10 * n),
            "predicted": predicted,
            "change": sign * 2.0 * predicted + noise * rng.normal(size=10 * n),
            **{name: np.full(10 * n, value, dtype=np.int32) for name, value in whole.items()},
        }
    ).select(empty_table().columns)


def made_result(noise: float, n: int = 12, sign: float = 1.0, known: float = 0.99) -> FaithfulnessResult:
    table = pl.concat([made_up(kind, noise, n, sign) for kind in ("pair", "atom")])
    row = {
        "architecture": "painn",
        "method": "terms gate/scalar",
        "order": 2,
        "potential": "morse",
        "seed": 1,
        "slope": 0.9,
        "n": 40,
    }
    limits = {"correlation": known, "correlation_low": known - 0.01, "correlation_high": known + 0.005}
    fresh = {**row, **limits, "method": UNTRAINED, "correlation": -0.3}
    better = {**row, "seed": 2, "correlation": 1.0, "correlation_low": 1.0, "correlation_high": 1.0}
    return FaithfulnessResult(
        deletions=table,
        scores=deletion_scores(table),
        known=pl.DataFrame([better, {**row, **limits}, fresh]),
        effects={kind: effect_of(table, kind, "gate/scalar") for kind in ("pair", "atom")},
        controls={kind: controls_of(table, kind, "gate/scalar", []) for kind in ("pair", "atom")},
        method="gate/scalar",
        architecture="painn",
        unit="eV",
        n_structures=n,
    )


def test_terms_that_foretell_agree_and_noise_does_not() -> None:
    verdict = judge(made_result(0.1))
    assert verdict.outcome is Outcome.AGREES
    assert "2.00 eV" in verdict.sentence
    assert judge(made_result(30.0)).outcome is Outcome.DEVIATES
    assert judge(made_result(0.1, sign=-1.0)).outcome is Outcome.DEVIATES
    near = judge(made_result(1.45))
    assert near.findings[0].outcome is Outcome.CANNOT_TELL, near.findings[0].sentence


def test_known_potentials_are_told_say_which_was_worst_and_decide_nothing() -> None:
    verdict = judge(made_result(0.1, known=0.7))
    assert [f.outcome for f in verdict.findings] == [Outcome.AGREES, Outcome.AGREES, Outcome.DEVIATES]
    assert verdict.outcome is Outcome.AGREES
    told = verdict.findings[2].sentence
    assert "morse" in told
    assert "not this model" in told
    assert "not this model" not in verdict.sentence
    missing = replace(made_result(0.1), method="gamma/scalar", scores=made_result(0.1).scores)
    missing = replace(missing, scores=missing.scores.with_columns(method=pl.lit("gamma/scalar")))
    assert judge(missing).findings[2].outcome is Outcome.CANNOT_TELL


def test_without_deletions_the_verdict_cannot_tell_whatever_is_known_of_the_rule() -> None:
    verdict = judge(replace(made_result(0.1), deletions=empty_table(), n_structures=0))
    assert [f.outcome for f in verdict.findings] == [Outcome.CANNOT_TELL, Outcome.CANNOT_TELL, Outcome.AGREES]
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert verdict.sentence.startswith("0 structures in which atoms see each other")


def test_controls_take_agreement_away() -> None:
    result = made_result(0.1)
    assert all(abs(c.value) < 0.3 for c in result.controls["pair"] if c.is_null)
    # Terms that are alike within each molecule predict the deletion of one pair as well as of any other.
    table = result.deletions.with_columns(predicted=pl.col("frame").cast(pl.Float64), change=pl.col("frame") * 1.0)
    controls = {kind: controls_of(table, kind, "gate/scalar", []) for kind in ("pair", "atom")}
    effects = {kind: effect_of(table, kind, "gate/scalar") for kind in ("pair", "atom")}
    fooled = judge(replace(result, deletions=table, effects=effects, controls=controls))
    assert fooled.findings[0].outcome is Outcome.CANNOT_TELL
    assert effects["pair"].value == pytest.approx(1.0)


def test_baseline_of_distance_leaves_its_own_structure_out() -> None:
    table = made_up("pair", 0.0)
    by_distance = table.with_columns(change=(pl.col("distance") / 0.25).floor())
    values = {c.name: c.value for c in controls_of(by_distance, "pair", "gate/scalar", [])}
    assert values["distance and elements alone"] > 0.9
    values = {c.name: c.value for c in controls_of(table, "pair", "gate/scalar", [])}
    assert abs(values["distance and elements alone"]) < 0.4


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("n", [0, 1, 4])
def test_few_structures_cannot_tell(n: int) -> None:
    inputs = AnalysisInputs(small_model("painn"), [branched()] * n, {}, settings=Settings())
    verdict = judge(compute(inputs))
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert [f.outcome for f in verdict.findings[:2]] == [Outcome.CANNOT_TELL] * 2
    assert f"{n} structures" in verdict.findings[0].sentence


def test_single_atoms_cannot_tell() -> None:
    inputs = AnalysisInputs(small_model("schnet"), [ase.Atoms("O")] * 6, {}, settings=Settings(product_rule="scalar"))
    result = compute(inputs)
    assert (result.n_structures, result.method) == (0, "gate/full")
    assert judge(result).findings[0].outcome is Outcome.CANNOT_TELL


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("readout", [{}, {"kind": "dipole", "magnitude": True, "vectors": True}], ids=["sum", "dipole"])
def test_question_of_a_small_model_is_stored_and_drawn(readout, tmp_path: Path) -> None:
    from atomlens.report.chapters.faithfulness import figure

    model = small_model("painn", readout=readout, output={"has_forces": False})
    rng = np.random.default_rng(0)
    structures = [branched() for _ in range(6)]
    for atoms in structures:
        atoms.rattle(0.05, rng=rng)
    told: list[int] = []
    inputs = AnalysisInputs(model, structures, {}, settings=Settings(product_rule="full"))
    result = compute(inputs, n_deletions=3, progress=lambda what, done, total: told.append(done))
    assert told == [0, 1, 2, 3, 4, 5, 6]
    assert result.method == "gate/full"
    mine = result.deletions.filter(
        (pl.col("frame") == 2) & (pl.col("method") == "gate/full") & (pl.col("kind") == "atom")
    )
    through = walks_through_atoms(
        explain(model, structures[2], product_rule="full").chain, mine["atom_1"].to_numpy().astype(np.int64)
    )
    np.testing.assert_allclose(mine["predicted"].to_numpy(), through, atol=1e-10)
    save_result(result, tmp_path / "r")
    loaded = load_result(FaithfulnessResult, tmp_path / "r")
    assert judge(loaded) == judge(result)
    assert isinstance(loaded.effects["pair"], Effect)
    figure(result).draw_without_rendering()
    figure(compute(AnalysisInputs(model, [], {}))).draw_without_rendering()


@pytest.mark.usefixtures("few_draws")
def test_shipped_model_and_stored_scores() -> None:
    molecules = [
        ase.build.molecule(name)
        for name in ("CH3CH2OH", "CH4", "H2O", "C6H6", "CH3CHO", "CH3OH", "NH3", "C2H4", "HCN", "C2H2")
    ]
    result = compute(AnalysisInputs(load_model("zoo:qm9-u0-schnet"), molecules, {}), n_deletions=6)
    assert result.effects["atom"].has_interval
    found = judge(result).findings
    assert len(found) == 3
    assert "3 trainings of schnet each" in found[-1].sentence
    known = stored_known_scores()
    assert set(known["potential"]) == set(known_names())
    assert set(known["architecture"]) == {"schnet", "painn"}
    assert (known.group_by("potential", "architecture").agg(pl.col("seed").n_unique())["seed"] == 3).all()
    # A model fits its potential, or its terms say nothing about the rules.
    assert (known["force_mae_meV_per_A"] < 0.15 * known["force_rms_meV_per_A"]).all()
    assert set(question.PAIR_POTENTIALS) <= set(known["potential"])
