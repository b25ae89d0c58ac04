"""Long-range energies as part of an explanation: exact pair terms beside the walks."""

from __future__ import annotations

from dataclasses import replace

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import atomlens
from atomlens.chain import make_automatic_chain, make_chain, make_rule
from atomlens.interactions import explain_batch, interaction_terms
from atomlens.models import LongRangeConfig
from atomlens.relevance import AtomSets, restricted_sums
from samples import FORMS, RULES, branched, long_range_model, molecules

KINDS = ("coulomb", "dispersion", "coulomb+dispersion")


def as_table(terms: atomlens.Terms) -> dict[tuple[int, ...], float]:
    return {tuple(s): v for s, v in zip(terms.atoms.tolist(), terms.relevance.tolist(), strict=True)}


@settings(max_examples=40)
@given(
    atoms=molecules(),
    form=st.sampled_from(FORMS),
    rule=st.sampled_from(RULES),
    kind=st.sampled_from(KINDS),
    balance=st.sampled_from(["mean", "neighbors"]),
    max_order=st.integers(1, 3),
)
def test_everything_adds_up(atoms, form, rule, kind, balance, max_order):
    ex = atomlens.explain(long_range_model(form[0], kind, balance=balance), atoms, rule, form[1])
    size = max(1.0, abs(ex.prediction - ex.constant))
    assert abs(ex.residual) <= 1e-10 * size
    far = ex.long_range_terms().relevance.sum()
    walks = ex.walks().relevance.sum() + sum(w.relevance.sum() for w in ex.bias_walks())
    assert ex.constant + walks + far == pytest.approx(ex.prediction, abs=1e-10 * size)
    parts = [ex.long_range_terms(k).relevance for k in ex.long_range_kinds]
    np.testing.assert_allclose(sum(parts), ex.long_range_terms().relevance, rtol=0, atol=1e-12 * size)
    terms = ex.interactions(max_order)
    listed = sum(float(terms.order(n).relevance.sum()) for n in range(1, max_order + 1))
    assert ex.constant + listed + terms.remainder == pytest.approx(ex.prediction, abs=1e-10 * size)
    if len(atoms) <= max_order:
        assert abs(terms.remainder) <= 1e-10 * size
    for share in ex.atom_shares():
        assert ex.constant + share.sum() == pytest.approx(ex.prediction, abs=1e-10 * size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
@pytest.mark.parametrize("n_layers", [2, 3])
def test_pair_terms_are_walks_and_an_energy(architecture, product_rule, kind, n_layers):
    model, atoms = long_range_model(architecture, kind, n_layers=n_layers), branched()
    ex = atomlens.explain(model, atoms, product_rule=product_rule)
    plain = interaction_terms(replace(ex.chain, long_range=None, prediction=ex.prediction - ex.chain.sum_of_pairs()))
    assert abs(plain.remainder - ex.interactions(3).remainder) < 1e-10
    walks, energies = as_table(plain.order(2)), as_table(ex.long_range_terms())
    terms = ex.interactions(3).order(2)
    assert terms.atoms.tolist() == [[i, j] for i in range(5) for j in range(i + 1, 5)]
    for pair, value in as_table(terms).items():
        assert value == pytest.approx(walks.get(pair, 0.0) + energies[pair], abs=1e-12)
    for n in (1, 3):
        np.testing.assert_allclose(ex.interactions(3).order(n).relevance, plain.order(n).relevance, atol=1e-12)
    # The lone fluorine sees nobody: its pairs are energies alone.
    assert energies[0, 4] == as_table(terms)[0, 4] != 0
    # Walks are those of message passing, whatever is asked of them.
    both = [ex.interactions(3, walks=which) for which in ("full", "bias")]
    for n in (1, 2, 3):
        total = sum(float(part.order(n).relevance.sum()) for part in both)
        assert total == pytest.approx(float(plain.order(n).relevance.sum()), abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_the_closed_form_is_the_automatic_one(architecture, product_rule, kind):
    model = long_range_model(architecture, kind, balance="neighbors")
    graph = model.graph(branched())
    closed = make_chain(model, graph, make_rule("gate"), product_rule)
    automatic = make_automatic_chain(model, graph, make_rule("gate"), product_rule)
    assert closed.prediction == pytest.approx(automatic.prediction, abs=1e-10)
    assert closed.sum_of_pairs() == pytest.approx(automatic.sum_of_pairs(), abs=1e-10)
    assert automatic.prediction - automatic.constant == pytest.approx(
        automatic.sum_of_walks() + automatic.sum_of_pairs(), abs=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_groups_hold_the_energies_of_their_pairs(architecture, kind):
    ex = atomlens.explain(long_range_model(architecture, kind), branched())
    groups = [[0, 2], [4], [1]]
    energies = as_table(ex.long_range_terms())
    for max_order in (1, 2, 3):
        terms = ex.group_interactions(groups, max_order)
        total = sum(float(terms.order(n).relevance.sum()) for n in range(1, max_order + 1)) + terms.remainder
        assert ex.constant + total == pytest.approx(ex.prediction, abs=1e-10)
    (alone,) = restricted_sums(ex.chain, AtomSets.of([[0, 2]])).tolist()
    assert as_table(terms.order(1))[0,] == pytest.approx(alone + energies[0, 2], abs=1e-12)
    # Fluorine, out of everyone's reach, meets the others in energies alone; atom 3 is in no group.
    assert as_table(terms.order(2))[0, 1] == pytest.approx(energies[0, 4] + energies[2, 4], abs=1e-12)
    assert as_table(terms.order(2))[1, 2] == pytest.approx(energies[1, 4], abs=1e-12)
    every = ex.group_interactions([[0, 1, 2, 3], [4]])
    assert abs(every.remainder) < 1e-10


@settings(max_examples=25)
@given(
    structures=st.lists(molecules(max_atoms=5), min_size=1, max_size=4),
    form=st.sampled_from(FORMS),
    kind=st.sampled_from(KINDS),
    max_order=st.integers(1, 3),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_side_by_side_is_one_by_one(structures, form, kind, max_order, dtype):
    model = long_range_model(form[0], kind, balance="neighbors")
    batch = explain_batch(model, structures, product_rule=form[1], max_order=max_order, dtype=dtype)
    for k, atoms in enumerate(structures):
        single = atomlens.explain(model, atoms, product_rule=form[1], dtype=dtype)
        size = max(1.0, abs(single.prediction), np.abs(single.long_range_terms().relevance).sum())
        close = {"rtol": 0, "atol": (1e-12 if dtype == torch.float64 else 2e-5) * size}
        found, expected = batch.interactions(k), single.interactions(max_order)
        for n in range(1, max_order + 1):
            np.testing.assert_array_equal(found.order(n).atoms, expected.order(n).atoms)
            np.testing.assert_allclose(found.order(n).relevance, expected.order(n).relevance, **close)
        np.testing.assert_allclose(batch.predictions[k], single.prediction, **close)
        np.testing.assert_allclose(batch.remainders[k], expected.remainder, **close)
        np.testing.assert_allclose(batch.residuals[k], 0.0, **close)
        for share, of_single in zip(batch.atom_shares(k), single.atom_shares(), strict=True):
            np.testing.assert_allclose(share, of_single, **close)


def test_plain_models_have_none():
    model = long_range_model("painn", "none")
    assert model.config.long_range == LongRangeConfig(width=3)
    ex = atomlens.explain(model, branched())
    assert ex.long_range_kinds == ()
    assert len(ex.long_range_terms().relevance) == 0
    assert ex.chain.sum_of_pairs() == 0.0


def test_energies_do_not_end_at_the_cutoff():
    model = long_range_model("painn", "coulomb+dispersion")
    for distance in (2.4, 2.6, 30.0):
        atoms = ase.Atoms("OF", positions=[[0, 0, 0], [0, 0, distance]])
        assert len(atomlens.explain(model, atoms).interactions(2).order(2).relevance) == 1
    assert atomlens.explain(model, atoms).interactions(2).order(2).relevance[0] != 0
