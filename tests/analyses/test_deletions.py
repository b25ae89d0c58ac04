"""Deletions and attributions against independent computations and known answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import ase
import ase.build
import numpy as np
import pytest
import torch

from atomlens import explain
from atomlens.analyses.faithfulness.curves import curve_areas
from atomlens.analyses.faithfulness.deletion import (
    changes,
    edges_of_atom,
    edges_of_pair,
    walks_along_pairs,
    walks_through_atoms,
    without_edges,
)
from atomlens.analyses.faithfulness.edge_weights import (
    EdgeWeighted,
    gradient_times_input,
    integrated_edges,
    integrated_hessians,
    plain_removal,
    subset_values,
    weight_gradient,
)
from samples import FORMS, RULES, branched, crowded_cell, small_model


def pairs_of(graph):
    joined = {(min(p), max(p)) for p in zip(graph.target.tolist(), graph.source.tolist(), strict=True)}
    return np.array(sorted(p for p in joined if p[0] != p[1]))


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
