"""Deletions and attributions against independent computations and known answers; the judgement of made-up results."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise
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
from atomlens.analyses.faithfulness.curves import curve_areas
from atomlens.analyses.faithfulness.deletion import (
    changes,
    edges_of_atom,
    edges_of_pair,
    walks_along_pairs,
    walks_through_atoms,
    without_edges,
)
from atomlens.analyses.faithfulness.deletion_table import controls_of, deletion_scores, effect_of, empty_table
from atomlens.analyses.faithfulness.edge_weights import (
    EdgeWeighted,
    gradient_times_input,
    integrated_edges,
    integrated_hessians,
    plain_removal,
    subset_values,
    weight_gradient,
)
from atomlens.analyses.faithfulness.known_terms import UNTRAINED, known_scores, stored_known_scores
from atomlens.analyses.faithfulness.question import FaithfulnessResult, compute, judge
from atomlens.folders import load_result, save_result
from atomlens.models import Potential
from atomlens.reference.known import known_names, known_potential
from samples import FORMS, RULES, branched, crowded_cell, small_model


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short bootstrap, where limits do not matter: every call is checked while tests run."""
    for home in ("known_terms", "deletion_table"):
        monkeypatch.setattr(
            f"atomlens.analyses.faithfulness.{home}.molecule_effect", partial(molecule_effect, n_resamples=20)
        )
    fewer = [("gate", "scalar"), ("gate", "full"), ("gradient", "full")]
    monkeypatch.setattr(question, "rule_names", lambda model: fewer)


def pairs_of(graph):
    joined = {(min(p), max(p)) for p in zip(graph.target.tolist(), graph.source.tolist(), strict=True)}
    return np.array(sorted(p for p in joined if p[0] != p[1]))


# --- deletions


@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("atoms", [branched(), crowded_cell()], ids=["open", "periodic"])
def test_predicted_changes_are_sums_of_listed_walks(architecture, product_rule, rule, atoms) -> None:
    explanation = explain(small_model(architecture), atoms, rule, product_rule)
    listed = [explanation.walks(), *explanation.bias_walks()]
    n = len(atoms)
    along, through = dict.fromkeys(combinations(range(n), 2), 0.0), [0.0] * n
    for walks in listed:
        for places, relevance in zip(walks.atoms.tolist(), walks.relevance.tolist(), strict=True):
            for pair in {tuple(sorted(p)) for p in pairwise(places) if p[0] != p[1]}:
                along[pair] += relevance
            if len(set(places)) > 1:
                for k in set(places):
                    through[k] += relevance
    pairs = np.array(list(along))
    np.testing.assert_allclose(walks_along_pairs(explanation.chain, pairs), list(along.values()), atol=1e-9)
    np.testing.assert_allclose(walks_through_atoms(explanation.chain, np.arange(n)), through, atol=1e-9)


def test_atoms_out_of_reach_change_nothing() -> None:
    model, atoms = small_model("painn"), branched()
    graph = model.graph(atoms)
    assert changes(model, graph, [edges_of_atom(graph, 4)]).tolist() == [0.0]
    assert walks_through_atoms(explain(model, atoms).chain, np.array([4])) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_deleting_all_messages_of_an_atom_is_removing_it(architecture: str) -> None:
    model, atoms = small_model(architecture), branched()
    graph = model.graph(atoms)
    for k in range(len(atoms)):
        without = atoms.copy()
        del without[k]
        alone = model.predict(atoms[[k]]).value + model.predict(without).value
        assert changes(model, graph, [edges_of_atom(graph, k)])[0] == pytest.approx(
            float(model.predict(atoms).value - alone), abs=1e-10
        )


# --- other attributions


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_edge_weights_of_zero_are_deleted_edges(architecture: str) -> None:
    model = small_model(architecture)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = model.graph(crowded_cell() if architecture == "schnet" else branched())
    weighted = EdgeWeighted(model, graph)
    deleted = [edges_of_pair(graph, i, j) for i, j in pairs_of(graph).tolist()]
    weights = torch.stack([torch.ones(graph.n_edges, dtype=torch.float64), *((~d).double() for d in deleted)])
    y = weighted(weights)
    np.testing.assert_allclose((y[0] - y[1:]).numpy(), changes(model, graph, deleted), atol=1e-10)
    assert float(y[0]) == pytest.approx(float(model(graph)[0]))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_gradients_are_limits_of_differences(architecture: str) -> None:
    model = small_model(architecture)
    graph, step = model.graph(branched()), 1e-5
    pairs, weighted = pairs_of(graph), EdgeWeighted(model, graph)
    numeric, stretched = [], []
    for i, j in pairs.tolist():
        mine = edges_of_pair(graph, i, j).double()
        low, high = weighted(torch.stack([1 - step * mine, 1 + step * mine]))
        numeric.append(float(high - low) / (2 * step))
        moved = [replace(graph, offsets=graph.offsets + s * mine[:, None] * graph.vectors()) for s in (-step, step)]
        stretched.append(float(model(moved[1])[0] - model(moved[0])[0]) / (2 * step))
    np.testing.assert_allclose(weight_gradient(model, graph, pairs), numeric, atol=1e-7)
    np.testing.assert_allclose(gradient_times_input(model, graph, pairs), stretched, atol=1e-7)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_integrated_edges_add_up_to_what_edges_add(architecture: str) -> None:
    model = small_model(architecture)
    graph = model.graph(branched())
    y = EdgeWeighted(model, graph)(torch.stack([torch.zeros(graph.n_edges), torch.ones(graph.n_edges)]).double())
    whole, pairs = float(y[1] - y[0]), pairs_of(graph)
    errors = [abs(integrated_edges(model, graph, pairs, n).sum() - whole) / abs(whole) for n in (2, 6, 16)]
    assert errors[2] < errors[1] < errors[0]
    # Six nodes, as in analyses; PaiNN bends sharply where its vectors vanish, and converges more slowly.
    assert errors[1] < 1e-2
    assert errors[2] < (1e-8 if architecture == "schnet" else 1e-3)


class _Polynomial(EdgeWeighted):
    """A known polynomial of the weights of three pairs, each in two directions: 3 a + 2 a b^2 + c^11."""

    def __call__(self, weights):
        target, source = self.graph.target, self.graph.source
        a, b, c = (weights[:, (target == i) & (source == j)][:, 0] for i, j in ((0, 1), (1, 2), (0, 2)))
        return 3.0 * a + 2.0 * a * b**2 + c**11


def test_integrated_edges_of_a_polynomial_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomlens.analyses.faithfulness.edge_weights.EdgeWeighted", _Polynomial)
    model = small_model("schnet")
    graph = model.graph(ase.Atoms("OHC", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]]))
    pairs = np.array([[0, 1], [2, 1], [0, 2]])
    # Of 2 a b^2: 2/3 for a, 4/3 for b. Six nodes are exact up to derivatives of order eleven.
    np.testing.assert_allclose(integrated_edges(model, graph, pairs), [3 + 2 / 3, 4 / 3, 1.0], rtol=1e-12)
    assert abs(integrated_edges(model, graph, pairs, n_nodes=3)[2] - 1.0) > 1e-6


def test_curves_of_the_right_order_beat_chance_and_the_wrong_one_loses() -> None:
    model, rng = small_model("schnet", n_layers=1), np.random.default_rng(0)
    graph = model.graph(branched())
    pairs = pairs_of(graph)
    change = changes(model, graph, [edges_of_pair(graph, i, j) for i, j in pairs.tolist()])
    known = {"right": change, "turned": -change, "wrong": 1.0 / np.abs(change), "equal": np.ones(len(pairs))}
    areas = curve_areas(model, graph, pairs, known, rng)
    assert areas["right"] == areas["turned"]  # the order is that of sizes
    assert areas["right"][0] > areas["wrong"][0]
    assert areas["right"][1] < areas["wrong"][1]
    # Brute force of the curve of deletions.
    order = np.argsort(-np.abs(change))
    gone = torch.zeros(graph.n_edges, dtype=torch.bool)
    sizes = []
    for k in order:
        gone = gone | edges_of_pair(graph, *pairs[k].tolist())
        sizes.append(abs(float(model(graph)[0] - model(without_edges(graph, gone))[0])))
    if len(pairs) <= 12:  # each step is a point
        reverse = curve_areas(model, graph, pairs, {"a": change, "b": 1.0 / np.abs(change)}, np.random.default_rng(1))
        backwards = []
        gone = torch.zeros(graph.n_edges, dtype=torch.bool)
        for k in order[::-1]:
            gone = gone | edges_of_pair(graph, *pairs[k].tolist())
            backwards.append(abs(float(model(graph)[0] - model(without_edges(graph, gone))[0])))
        assert reverse["a"][0] / reverse["b"][0] == pytest.approx(np.mean(sizes) / np.mean(backwards))


class _Quadratic(EdgeWeighted):
    """Gates in a function whose integrated Hessian is known: 3 a_0 a_1 + a_1 a_2^2."""

    def of_gates(self, gates):
        a, b, c = gates.unbind(1)
        return 3.0 * a * b + b * c * c


def test_integrated_hessians_of_a_known_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomlens.analyses.faithfulness.edge_weights.EdgeWeighted", _Quadratic)
    model = small_model("schnet")
    graph = model.graph(ase.Atoms("OHC", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]]))
    # 2 ∫∫ αβ · 3 = 3/2; with second derivative 2t: 2 ∫∫ αβ · 2 αβ = 4/9.
    found = integrated_hessians(model, graph, np.array([[0, 1], [1, 2], [0, 2]]), n_nodes=24)
    np.testing.assert_allclose(found, [1.5, 4 / 9, 0.0], atol=2e-4)


def test_removal_takes_a_sum_of_pairs_and_triples_apart() -> None:
    rng = np.random.default_rng(0)
    pairs, triples = np.array(list(combinations(range(5), 2))), np.array(list(combinations(range(5), 3)))
    u, v = rng.normal(size=len(pairs)), rng.normal(size=len(triples))
    inside = lambda sets, k: np.array([all(k >> a & 1 for a in s) for s in sets.tolist()])  # noqa: E731
    values = np.array([u @ inside(pairs, k) + v @ inside(triples, k) for k in range(32)])
    np.testing.assert_allclose(plain_removal(values, triples), v, atol=1e-12)
    holding = [v[[set(p) <= set(t) for t in triples.tolist()]].sum() for p in pairs.tolist()]
    np.testing.assert_allclose(plain_removal(values, pairs), u + holding, atol=1e-12)


def test_subsets_are_indexed_by_their_bits() -> None:
    model, atoms = small_model("painn"), branched()
    values = subset_values(model, model.graph(atoms))
    alone = [float(model.predict(atoms[[k]]).value) for k in range(5)]
    members = [0, 1, 3]
    expected = float(model.predict(atoms[members]).value) + alone[2] + alone[4]
    assert values[0b01011] == pytest.approx(expected, abs=1e-10)


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


# --- the question


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
    figure(result).savefig(tmp_path / "f.svg")
    figure(compute(AnalysisInputs(model, [], {}))).savefig(tmp_path / "empty.svg")


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
