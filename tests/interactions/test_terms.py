"""Interaction terms against sums of walks, and on systems whose terms are known."""

from __future__ import annotations

import inspect
import itertools
import math

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import given, settings

import atomlens
from atomlens.chain import Chain, automatic_chain, make_rule, merge_images
from atomlens.interactions import Interactions, group_terms, interaction_terms
from atomlens.interactions import meeting as meeting_module
from atomlens.interactions.terms import _by_inclusion_exclusion
from atomlens.relevance import restricted as restricted_module
from samples import FORMS, RULES, branched, crowded_cell, crystals, molecules, small_model

Sets = dict[frozenset[int], float]


def table(terms: Interactions) -> Sets:
    listed = [terms.order(n) for n in range(1, terms.max_order + 1)]
    sets = [frozenset(s) for t in listed for s in t.atoms.tolist()]
    assert len(set(sets)) == len(sets)
    return dict(zip(sets, [float(r) for t in listed for r in t.relevance], strict=True))


def by_walks(ex: atomlens.Explanation, walks: str = "all") -> Sets:
    lists = {"all": [ex.walks(), *ex.bias_walks()], "full": [ex.walks()], "bias": ex.bias_walks()}[walks]
    sums: Sets = {}
    for block in lists:
        for walk, relevance in zip(block.atoms.tolist(), block.relevance.tolist(), strict=True):
            sums[frozenset(walk)] = sums.get(frozenset(walk), 0.0) + relevance
    return sums


def assert_same(found: Sets, expected: Sets, accuracy: float = 1e-12) -> None:
    size = max([1.0, *map(abs, expected.values())])
    for s in found.keys() | expected.keys():
        assert found.get(s, 0.0) == pytest.approx(expected.get(s, 0.0), abs=accuracy * size), s


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_terms_are_sums_of_walks_over_exactly_their_atoms(architecture, product_rule, rule, n_layers):
    model = small_model(architecture, n_layers=n_layers, n_features=3)
    ex = atomlens.explain(model, branched(), rule, product_rule)
    for walks in ("all", "full", "bias"):
        expected = by_walks(ex, walks)
        for order in (1, 2, 3):
            terms = ex.interactions(order, walks=walks)
            listed = {s: r for s, r in expected.items() if len(s) <= order}
            assert_same(table(terms), listed)
            higher = sum(r for s, r in expected.items() if len(s) > order)
            assert terms.remainder == pytest.approx(higher, abs=1e-11)


@settings(max_examples=15)
@given(atoms=crystals(max_atoms=4))
def test_terms_in_cells_with_many_images(atoms):
    for architecture, product_rule in FORMS:
        ex = atomlens.explain(small_model(architecture, n_features=3, cutoff=2.2), atoms, "gate", product_rule)
        assert_same(table(ex.interactions(3)), {s: r for s, r in by_walks(ex).items() if len(s) <= 3}, 1e-11)


@pytest.mark.parametrize("block", [1, 3, 16_384])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("atoms", [branched(), crowded_cell(), branched()[:1], branched()[[0, 4]], branched()[:2]])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_three_layers_in_closed_form_are_inclusion_and_exclusion(
    monkeypatch, architecture, product_rule, atoms, bias, block
):
    """The two ways to terms share nothing but the chain: halves that meet, and sums over sets that are subtracted."""
    chain = atomlens.explain(small_model(architecture, cutoff=3.1), atoms, "gate", product_rule).chain
    chain = chain if bias else chain.without_bias()
    monkeypatch.setattr(meeting_module, "_BLOCK", 32 * block)
    monkeypatch.setattr(restricted_module, "_BATCH", block)
    for order in (1, 2, 3):
        terms = interaction_terms(chain, order)
        members = [torch.from_numpy(terms.order(n).atoms) for n in range(1, order + 1)]
        for n, expected in enumerate(_by_inclusion_exclusion(chain, members), start=1):
            np.testing.assert_allclose(terms.order(n).relevance, expected.numpy(), rtol=0, atol=1e-11)


@settings(max_examples=20)
@given(atoms=molecules())
def test_members_are_increasing_and_complete(atoms):
    model = small_model("painn", n_features=3, cutoff=2.0)
    terms = atomlens.explain(model, atoms).interactions(3)
    near = atoms.get_all_distances() < 2.0
    np.fill_diagonal(near, False)
    n = len(atoms)
    pairs = [[i, j] for i, j in itertools.combinations(range(n), 2) if near[i, j]]
    triples = [list(t) for t in itertools.combinations(range(n), 3) if near[np.ix_(t, t)].sum() >= 4]
    assert terms.order(1).atoms.tolist() == [[i] for i in range(n)]
    assert terms.order(2).atoms.tolist() == pairs
    assert terms.order(3).atoms.tolist() == triples


def test_orders_that_were_not_computed_are_refused():
    ex = atomlens.explain(small_model(), branched())
    terms = ex.interactions(2)
    for n in (0, 3):
        with pytest.raises(ValueError, match=f"order {n} was not computed; orders 1 to 2 are here"):
            terms.order(n)
    for order in (0, 4):
        with pytest.raises(ValueError, match=f"max_order is {order}"):
            ex.interactions(order)
    with pytest.raises(ValueError, match="'none' is not known; choose all, full or bias"):
        ex.interactions(2, walks="none")


# Groups


def group_table(ex: atomlens.Explanation, groups: list[list[int]], max_order: int) -> Sets:
    group_of = {a: g for g, members in enumerate(groups) for a in members}
    sums: Sets = {}
    for atoms, relevance in by_walks(ex).items():
        if atoms <= group_of.keys():
            key = frozenset(group_of[a] for a in atoms)
            sums[key] = sums.get(key, 0.0) + relevance
    return {s: r for s, r in sums.items() if len(s) <= max_order}


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("max_order", [1, 2, 3])
@pytest.mark.parametrize(
    "groups",
    [
        [[0], [1], [2], [3], [4]],
        [[0, 1, 2, 3, 4]],
        [[3, 0], [1, 4], [2]],
        [[2], [1]],
        [[4], [0, 2]],
        [[4, 3, 2], [0], [1]],
    ],
)
def test_groups_are_sums_of_walks_over_exactly_their_groups(groups, max_order, n_layers):
    ex = atomlens.explain(small_model("painn", n_layers=n_layers, n_features=3), branched(), "gate", "full")
    terms = ex.group_interactions(groups, max_order)
    assert_same(table(terms), group_table(ex, groups, max_order))
    listed = sum(float(terms.order(n).relevance.sum()) for n in range(1, max_order + 1))
    assert terms.remainder == pytest.approx(ex.prediction - ex.constant - listed, abs=1e-12)


def test_one_atom_groups_are_atoms():
    ex = atomlens.explain(small_model(), branched())
    assert_same(table(ex.group_interactions([[i] for i in range(5)], 3)), table(ex.interactions(3)))


def test_one_group_of_all_atoms_is_the_prediction():
    ex = atomlens.explain(small_model(), branched())
    terms = ex.group_interactions([list(range(5))], 1)
    assert terms.order(1).relevance[0] == pytest.approx(ex.prediction - ex.constant, abs=1e-12)
    assert terms.remainder == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([[0], []], "group 1 is empty"),
        ([[0, 9]], "group 0 names atom 9; the structure has atoms 0 to 4"),
        ([[0], [-1]], "group 1 names atom -1"),
        ([[0, 1], [2, 1]], "atom 1 is in groups 0 and 1; groups must not overlap"),
        ([[0, 0]], "atom 0 is in groups 0 and 0"),
    ],
)
def test_groups_that_are_none_are_refused(groups, message):
    ex = atomlens.explain(small_model(), branched())
    with pytest.raises(ValueError, match=message):
        ex.group_interactions(groups)


def test_groups_may_be_fragments_by_name():
    model = small_model()
    pair = ase.build.molecule("H2O")
    pair.extend(ase.Atoms(pair.numbers, pair.positions + np.array([3.0, 0.0, 0.0])))
    ex = atomlens.explain(model, pair, dtype="float64")
    named, listed = ex.group_interactions("fragments"), ex.group_interactions([[0, 1, 2], [3, 4, 5]])
    for order in (1, 2):
        np.testing.assert_array_equal(named.order(order).relevance, listed.order(order).relevance)
    with pytest.raises(ValueError, match="groups 'molecules' are not known; give fragments"):
        inspect.unwrap(type(ex).group_interactions)(ex, "molecules")


def test_groups_of_something_else_are_a_type_error():
    with pytest.raises(TypeError, match="group 0 names atom True; give whole numbers"):
        atomlens.explain(small_model(), branched()).group_interactions([[True]])


def test_no_groups_leave_everything_in_the_remainder():
    ex = atomlens.explain(small_model(), branched())
    terms = ex.group_interactions([], 2)
    assert terms.order(1).atoms.shape == (0, 1)
    assert terms.remainder == pytest.approx(ex.prediction - ex.constant)


# Systems whose terms are known without a computer


def numbers_chain(weights: list[list[float]], n_layers: int, x: list[float] | None = None) -> Chain:
    """States of one channel, x' = x + W x, read out by their sum."""
    matrix = torch.tensor(weights, dtype=torch.float64)
    target, source = matrix.nonzero().T
    start = torch.ones(len(matrix)) if x is None else torch.tensor(x)
    return automatic_chain(
        [lambda s: s + matrix @ s] * n_layers,
        start.to(torch.float64)[:, None],
        torch.sum,
        merge_images(target, source, len(matrix)).pairs,
        make_rule("gate"),
    )


def test_a_sum_of_pair_potentials_has_pair_terms_alone():
    """One layer: y = Σ_i x_i + Σ_ij w_ij x_j, so I({i, j}) = w_ij x_j + w_ji x_i."""
    weights = [[0, 2.0, -1.0], [4.0, 0, 0], [0.5, 0, 0]]
    terms = interaction_terms(numbers_chain(weights, 1, [1.0, 10.0, 100.0]))
    assert_same(
        table(terms),
        {frozenset(s): r for s, r in [((0,), 1), ((1,), 10), ((2,), 100), ((0, 1), 24.0), ((0, 2), -99.5)]},
    )
    assert terms.remainder == pytest.approx(0.0, abs=1e-12)


def test_a_three_body_product_is_one_triple():
    """Two layers along a chain of atoms: what crosses both bonds is w_21 w_10, and nothing else visits all three."""
    weights = [[0, 0, 0], [3.0, 0, 1e-300], [0, 5.0, 0]]
    weights[0][1] = 1e-300  # pairs exist in both directions, whatever they carry
    terms = table(interaction_terms(numbers_chain(weights, 2)))
    assert terms[frozenset({0, 1, 2})] == pytest.approx(15.0)
    assert terms[frozenset({0, 1})] == pytest.approx(2 * 3.0)
    assert terms[frozenset({1, 2})] == pytest.approx(2 * 5.0)
    assert [terms[frozenset({i})] for i in range(3)] == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
def test_walks_of_equal_weight_are_counted_by_stirling_numbers(n_layers):
    """All weights one: I(S) is the number of sequences of T + 1 atoms that visit all of S, n! S(T + 1, n)."""
    n_atoms = 5
    ones = (torch.ones(n_atoms, n_atoms) - torch.eye(n_atoms)).tolist()
    terms = interaction_terms(numbers_chain(ones, n_layers))
    for n in (1, 2, 3):
        onto = sum((-1) ** k * math.comb(n, k) * (n - k) ** (n_layers + 1) for k in range(n + 1))
        assert terms.order(n).atoms.shape == (math.comb(n_atoms, n), n)
        np.testing.assert_allclose(terms.order(n).relevance, onto, atol=1e-9)
    rest = n_atoms ** (n_layers + 1) - sum(float(terms.order(n).relevance.sum()) for n in (1, 2, 3))
    assert terms.remainder == pytest.approx(rest, abs=1e-8)


def test_groups_of_a_known_chain():
    """Two pairs of atoms, joined by one bond: all that crosses is between the groups."""
    weights = [[0, 1.0, 0, 0], [1.0, 0, 2.0, 0], [0, 2.0, 0, 1.0], [0, 0, 1.0, 0]]
    chain = numbers_chain(weights, 1)
    terms = group_terms(chain, [[0, 1], [2, 3]])
    assert terms.order(1).relevance.tolist() == pytest.approx([4.0, 4.0])
    assert terms.order(2).relevance.tolist() == pytest.approx([4.0])
    assert terms.remainder == pytest.approx(0.0, abs=1e-12)


def test_far_atoms_are_no_pair():
    atoms = ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 40.0]])
    terms = atomlens.explain(small_model(), atoms).interactions(3)
    assert terms.order(2).atoms.shape == (0, 2)
    assert terms.order(3).atoms.shape == (0, 3)
    assert terms.remainder == pytest.approx(0.0, abs=1e-12)
