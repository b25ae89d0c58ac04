"""Walks against one masked backward pass each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from ase import units

import atomlens
from oracle import Oracle, all_sequences, published_walk
from samples import FORMS, RULES, branched, crowded_cell, small_model


def table(walks: atomlens.Walks) -> dict[tuple[int, ...], float]:
    return dict(zip(map(tuple, walks.atoms.tolist()), walks.relevance.tolist(), strict=True))


def assert_same(found: dict[tuple[int, ...], float], expected: dict[tuple[int, ...], float]) -> None:
    assert found.keys() == expected.keys()
    keys = list(expected)
    scale = max(abs(value) for value in expected.values())
    np.testing.assert_allclose([found[k] for k in keys], [expected[k] for k in keys], rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_walks_are_those_of_masked_backward_passes(architecture, product_rule, rule, n_layers):
    model = small_model(architecture, n_layers=n_layers, n_features=3, seed=n_layers)
    atoms = branched()[[0, 1, 2, 3] if n_layers < 4 else [0, 1, 3]]
    ex = atomlens.explain(model, atoms, rule, product_rule)
    oracle = Oracle(model, model.graph(atoms), rule, product_rule)

    value = float(model.scale * oracle.value(oracle.embedding(), {}, {}))
    offset = float(model.offset(oracle.graph)[0])
    assert value + offset == pytest.approx(model.predict(atoms).energy, abs=1e-12 * abs(offset))
    assert ex.constant == pytest.approx(offset + oracle.constant(), rel=1e-12)

    full = {w: oracle.full_walk(w) for w in all_sequences(oracle.graph, n_layers + 1)}
    assert_same(table(ex.walks()), full)
    for entry, walks in enumerate(ex.bias_walks(), start=1):
        bias = {w: oracle.bias_walk(w) for w in all_sequences(oracle.graph, n_layers + 1 - entry)}
        assert_same(table(walks), bias)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_walks_in_a_cell_count_all_images_of_an_atom_as_that_atom(architecture, product_rule, rule):
    model = small_model(architecture, n_layers=2, n_features=3, cutoff=3.1)
    atoms = crowded_cell()
    graph = model.graph(atoms)
    edges = list(zip(graph.target.tolist(), graph.source.tolist(), strict=True))
    assert any(i == j for i, j in edges)  # an atom sees its own image
    assert len(edges) > len(set(edges))  # and several images of another

    ex = atomlens.explain(model, atoms, rule, product_rule)
    oracle = Oracle(model, graph, rule, product_rule)
    assert_same(table(ex.walks()), {w: oracle.full_walk(w) for w in all_sequences(graph, 3)})
    for entry, walks in enumerate(ex.bias_walks(), start=1):
        assert_same(table(walks), {w: oracle.bias_walk(w) for w in all_sequences(graph, 3 - entry)})


def test_gamma_follows_its_strength_and_zero_is_gate():
    model, atoms = small_model("painn", n_layers=2), branched()
    for gamma in (0.05, 2.0):
        ex = atomlens.explain(model, atoms, "gamma", "full", gamma=gamma)
        oracle = Oracle(model, model.graph(atoms), "gamma", "full", gamma)
        assert_same(table(ex.walks()), {w: oracle.full_walk(w) for w in all_sequences(oracle.graph, 3)})
    assert_same(
        table(atomlens.explain(model, atoms, "gamma", "full", gamma=0.0).walks()),
        table(atomlens.explain(model, atoms, "gate", "full").walks()),
    )


@pytest.mark.parametrize("activation", ["softplus", "sigmoid", "tanh", "relu", "elu", "gelu"])
@pytest.mark.parametrize("rule", RULES)
def test_activations_that_are_not_zero_at_zero_or_not_smooth(activation, rule):
    model, atoms = small_model("painn", n_layers=2, activation=activation), branched()
    ex = atomlens.explain(model, atoms, rule, "full")
    oracle = Oracle(model, model.graph(atoms), rule, "full")
    assert_same(table(ex.walks()), {w: oracle.full_walk(w) for w in all_sequences(oracle.graph, 3)})
    assert_same(table(ex.bias_walks()[0]), {w: oracle.bias_walk(w) for w in all_sequences(oracle.graph, 2)})


def test_mean_readout_divides_walks_by_the_number_of_atoms():
    model, atoms = small_model("schnet", n_layers=2, readout={"aggregation": "avg"}), branched()
    ex = atomlens.explain(model, atoms, "gate")
    oracle = Oracle(model, model.graph(atoms), "gate", "scalar")
    assert ex.constant == pytest.approx(float(model.offset(oracle.graph)[0]) + oracle.constant(), rel=1e-12)
    assert_same(table(ex.walks()), {w: oracle.full_walk(w) for w in all_sequences(oracle.graph, 3)})
    assert_same(table(ex.bias_walks()[1]), {w: oracle.bias_walk(w) for w in all_sequences(oracle.graph, 1)})


@pytest.mark.parametrize(("architecture", "product_rule"), [("schnet", "scalar"), ("painn", "full")])
def test_gradient_is_input_times_the_gradient_of_the_model(architecture, product_rule):
    """Summed over where walks go, plain autograd of the model's own forward pass; with vectors held it is not."""
    model, atoms = small_model(architecture), branched()
    graph = model.graph(atoms)
    weight = model.representation.embedding.weight.requires_grad_()
    (gradient,) = torch.autograd.grad(model(graph).sum(), weight)
    expected = (gradient * weight).sum(dim=1)[graph.numbers].detach().numpy()  # every element occurs once
    walks = atomlens.explain(model, atoms, "gradient", product_rule).walks()
    started = np.bincount(walks.atoms[:, 0], weights=walks.relevance)
    np.testing.assert_allclose(started, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    if architecture == "painn":
        held = atomlens.explain(model, atoms, "gradient", "scalar").walks()
        assert not np.allclose(np.bincount(held.atoms[:, 0], weights=held.relevance), expected, rtol=1e-3)


@pytest.mark.parametrize("product_rule", ["scalar", "full"])
def test_no_walk_jumps_between_atoms_out_of_reach(product_rule):
    model, atoms = small_model("painn", n_layers=2), branched()
    oracle = Oracle(model, model.graph(atoms), "gate", product_rule)
    allowed = set(all_sequences(oracle.graph, 3))
    others = [w for w in itertools.product(range(len(atoms)), repeat=3) if w not in allowed]
    assert len(others) > len(allowed) / 2
    assert all(oracle.full_walk(w) == 0.0 for w in others)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_gate_and_scalar_are_the_published_method(architecture, n_layers):
    model, atoms = small_model(architecture, n_layers=n_layers), branched()
    graph = model.graph(atoms)
    expected = {w: published_walk(model, graph, w) for w in all_sequences(graph, n_layers + 1)}
    assert_same(table(atomlens.explain(model, atoms, "gate", "scalar").walks()), expected)


def test_published_method_on_a_published_model(ethanol_painn, ethanol_frames):
    """The model and the molecule of SchNetPack's authors, 50 of 6,561 walks, in kcal/mol as the model has it."""
    atoms = ethanol_frames[0]
    ex = atomlens.explain(ethanol_painn, atoms, "gate", "scalar")
    walks, kcal = ex.walks(), units.mol / units.kcal
    assert len(walks.relevance) == 9**4
    graph = ethanol_painn.graph(atoms)
    picked = np.random.default_rng(0).choice(len(walks.relevance), 50, replace=False)
    # The strongest belong to the sample: a random one is mostly of small walks.
    picked[:5] = np.argsort(-np.abs(walks.relevance))[:5]
    expected = {tuple(w): published_walk(ethanol_painn, graph, tuple(w)) for w in walks.atoms[picked].tolist()}
    found = {tuple(walks.atoms[k].tolist()): walks.relevance[k] * kcal for k in picked}
    assert_same(found, expected)
    # Small walks to the same relative accuracy, not only to that of the largest.
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-8)
