"""Recorded SchNet and PaiNN: the same numbers as their closed forms, which were written out by hand."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch

import atomlens
from recorded_samples import OwnModel
from samples import FORMS, RULES, branched, crowded_cell, small_model

STRUCTURES = {"molecule": branched, "cell with several images": crowded_cell}


def close(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * max(1.0, float(np.abs(b).max(initial=0.0))))


@pytest.mark.parametrize("structure", list(STRUCTURES))
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_terms_walks_and_shares(architecture, product_rule, rule, structure):
    model, atoms = small_model(architecture), STRUCTURES[structure]()
    ours = atomlens.explain(model, atoms, rule, product_rule)
    recorded = atomlens.explain_module(OwnModel(model), atoms, rule, product_rule)
    assert recorded.no_walks is None
    assert recorded.prediction == pytest.approx(ours.prediction, rel=1e-12)
    assert recorded.constant == pytest.approx(ours.constant, rel=1e-12)
    assert abs(recorded.residual) < 1e-12 * max(1.0, abs(ours.prediction))
    terms, expected = recorded.interactions(3), ours.interactions(3)
    for order in (1, 2, 3):
        assert terms.order(order).atoms.tolist() == expected.order(order).atoms.tolist()
        close(terms.order(order).relevance, expected.order(order).relevance)
    groups = [[0, 1], [2]]
    close(recorded.group_interactions(groups).order(2).relevance, ours.group_interactions(groups).order(2).relevance)
    for share, wanted in zip(recorded.atom_shares(), ours.atom_shares(), strict=True):
        close(share, wanted)
    walks, wanted = recorded.walks(), ours.walks()
    assert walks.atoms.tolist() == wanted.atoms.tolist()
    close(walks.relevance, wanted.relevance)
    for found, bias in zip(recorded.bias_walks(), ours.bias_walks(), strict=True):
        close(found.relevance, bias.relevance)
    close(recorded.top_walks(7).relevance, ours.top_walks(7).relevance)


@pytest.mark.parametrize("n_layers", [1, 2, 4])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_any_number_of_layers(architecture, product_rule, n_layers):
    model = small_model(architecture, n_layers=n_layers)
    ours = atomlens.explain(model, crowded_cell(), "gate", product_rule)
    recorded = atomlens.explain_module(OwnModel(model), crowded_cell(), "gate", product_rule)
    for order in (1, 2, 3):
        close(recorded.interactions(3).order(order).relevance, ours.interactions(3).order(order).relevance)
    close(recorded.walks().relevance, ours.walks().relevance)


@pytest.mark.parametrize("atoms", [ase.Atoms("O"), ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 30.0]])])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_atoms_without_neighbours(architecture, product_rule, atoms):
    model = small_model(architecture)
    ours = atomlens.explain(model, atoms, "gate", product_rule)
    recorded = atomlens.explain_module(OwnModel(model), atoms, "gate", product_rule)
    close(recorded.interactions(2).order(1).relevance, ours.interactions(2).order(1).relevance)
    close(recorded.walks().relevance, ours.walks().relevance)


def test_terms_of_the_chain_are_those_of_the_union():
    recorded = atomlens.explain_module(OwnModel(small_model("painn")), crowded_cell())
    alone = atomlens.explain_chain(recorded.chain, crowded_cell(), cutoff=2.5)
    for order in (1, 2, 3):
        a, b = (ex.interactions(3).order(order).relevance for ex in (recorded, alone))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max(initial=1.0))


def test_edge_norms_bound_what_edges_do():
    chain = atomlens.explain_module(OwnModel(small_model("painn")), crowded_cell()).chain
    for layer in chain.layers:
        edges = layer.edges
        width = edges.inputs.width
        eye = torch.eye(width, dtype=torch.float64).expand(chain.pairs.n_pairs, -1, -1)
        largest = torch.linalg.matrix_norm(edges.apply(eye, None), 2)
        assert (largest <= edges.norms() * (1 + 1e-12)).all()
        assert (edges.norms() < 2 * largest).all()


def test_apply_and_pull_are_transposes():
    chain = atomlens.explain_module(OwnModel(small_model("painn")), crowded_cell()).chain
    for t in range(chain.n_layers):
        before = torch.randn(chain.step_back(t, chain.step(t, chain.states()[t])).shape, dtype=torch.float64)
        after = torch.randn(chain.states()[t + 1].shape, dtype=torch.float64)
        assert float((chain.step(t, before) * after).sum()) == pytest.approx(
            float((before * chain.step_back(t, after)).sum()), rel=1e-9
        )
