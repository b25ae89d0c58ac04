"""Lists of walks, whole, in blocks and sorted, are one and the same set."""

from __future__ import annotations

import inspect
import itertools

import ase
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import atomlens
from atomlens.chain import Chain, automatic_chain, make_chain, make_rule, merge_images
from atomlens.relevance import (
    AtomSets,
    all_walks,
    atom_shares,
    count_walks,
    restricted_sums,
    strongest_walks,
    walk_blocks,
)
from atomlens.relevance import join as join_module
from atomlens.relevance import restricted as restricted_module
from atomlens.relevance import walks as walks_module
from atomlens.relevance.restricted import inner_pairs
from samples import FORMS, branched, crowded_cell, molecules, small_model


def chain_of(
    architecture: str = "painn", product_rule: str = "scalar", *, n_layers: int = 3, atoms=None, seed: int = 0
) -> Chain:
    model = small_model(architecture, n_layers=n_layers, n_features=3, seed=seed, cutoff=3.1)
    return make_chain(model, model.graph(branched() if atoms is None else atoms), make_rule("gate"), product_rule)


def sorted_table(atoms: np.ndarray, relevance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort(atoms.T)
    return atoms[order], relevance[order]


def dense_blocks(chain: Chain, t: int) -> torch.Tensor:
    """J[t] as (N, C', N, C), from what the chain does to unit vectors."""
    n, c = (chain.embedding if t == 0 else chain.layers[t - 1].bias).shape
    unit = torch.eye(n * c, dtype=chain.embedding.dtype).reshape(-1, n, c)
    return torch.stack([chain.step(t, x) for x in unit], dim=-1).reshape(n, -1, n, c)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_walks_are_products_of_blocks(architecture, product_rule, n_layers):
    chain = chain_of(architecture, product_rule, n_layers=n_layers)
    blocks = [dense_blocks(chain, t) for t in range(n_layers)]
    walks = all_walks(chain)
    assert walks.atoms.dtype == np.int32
    assert walks.relevance.dtype == np.float64
    assert walks.atoms.shape == (count_walks(chain), n_layers + 1)
    assert len({tuple(w) for w in walks.atoms.tolist()}) == len(walks.atoms)
    total = 0.0
    for walk in itertools.product(range(chain.n_atoms), repeat=n_layers + 1):
        x = chain.embedding[walk[0]]
        for t in range(n_layers):
            x = blocks[t][walk[t + 1], :, walk[t]] @ x
        total += float(chain.readout[walk[-1]] @ x)
        if n_layers <= 2:
            found = walks.relevance[(walks.atoms == walk).all(axis=1)]
            assert float(chain.readout[walk[-1]] @ x) == pytest.approx(found.sum(), abs=1e-12)
    # Nothing is carried by sequences that are not listed.
    assert walks.relevance.sum() == pytest.approx(total, rel=1e-11)
    assert chain.without_bias().sum_of_walks() == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("limits", [(1, 1, 1), (5, 60, 7), (40, 20_000, 2), (3, 40, 10_000)])
@pytest.mark.parametrize("n_layers", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("product_rule", ["scalar", "full"])
def test_small_blocks_give_the_same_walks(monkeypatch, product_rule, n_layers, limits):
    atoms = branched()[:3] if n_layers == 5 else crowded_cell() if n_layers == 2 else branched()
    chain = chain_of("painn", product_rule, n_layers=max(n_layers, 1), atoms=atoms)
    if n_layers == 0:
        chain = chain.entering_at(1)
    whole = sorted_table(*all_walks(chain))
    for name, value in zip(("MAX_HALF", "MAX_NUMBERS", "MAX_WALKS"), limits, strict=True):
        monkeypatch.setattr(join_module, name, value)
    blocks = list(walk_blocks(chain))
    in_blocks = sorted_table(np.concatenate([b.atoms for b in blocks]), np.concatenate([b.relevance for b in blocks]))
    for atoms_, relevance in (sorted_table(*all_walks(chain)), in_blocks):
        np.testing.assert_array_equal(atoms_, whole[0])
        np.testing.assert_allclose(relevance, whole[1], rtol=1e-14, atol=1e-13)
    if limits == (1, 1, 1):
        assert len(blocks) > 1 or chain.n_layers == 0


@pytest.mark.parametrize("limits", [None, (5, 60, 7), (1, 1, 1)])
@pytest.mark.parametrize("k", [0, 1, 7, 50, 10**6])
def test_the_strongest_walks_are_the_first_of_all_sorted(monkeypatch, limits, k):
    chain = chain_of("painn", "full")
    walks = all_walks(chain)
    if limits:
        for name, value in zip(("MAX_HALF", "MAX_NUMBERS", "MAX_WALKS"), limits, strict=True):
            monkeypatch.setattr(join_module, name, value)
    top = strongest_walks(chain, k)
    assert top.atoms.dtype == np.int32
    assert top.atoms.shape == (min(k, len(walks.relevance)), 4)
    strength = np.sort(-np.abs(walks.relevance), kind="stable")[:k]
    np.testing.assert_allclose(-np.abs(top.relevance), strength, rtol=1e-12)
    table = {tuple(w): r for w, r in zip(walks.atoms.tolist(), walks.relevance, strict=True)}
    assert len({tuple(w) for w in top.atoms.tolist()}) == len(top.atoms)
    for walk, relevance in zip(top.atoms.tolist(), top.relevance, strict=True):
        assert relevance == pytest.approx(table[tuple(walk)], rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("k", [-1, 2.5, "5"])
def test_a_number_of_walks_that_is_none_is_refused(k):
    with pytest.raises(ValueError, match=f"k is {k!r}; ask for zero or more walks"):
        inspect.unwrap(strongest_walks)(chain_of(), k)


def test_walks_that_no_memory_holds_are_refused(monkeypatch):
    chain = chain_of()
    monkeypatch.setattr(walks_module, "machine_memory", lambda: 100)
    with pytest.raises(MemoryError, match="Ask for top_walks"):
        all_walks(chain)


@settings(max_examples=20)
@given(atoms=molecules(), n_layers=st.integers(1, 4), product_rule=st.sampled_from(["scalar", "full"]))
def test_walks_of_all_entries_add_up_to_the_prediction(atoms, n_layers, product_rule):
    model = small_model("painn", n_layers=n_layers, n_features=3)
    ex = atomlens.explain(model, atoms, "gate", product_rule)
    parts = [ex.constant, ex.walks().relevance.sum(), *(w.relevance.sum() for w in ex.bias_walks())]
    size = max(1.0, abs(ex.prediction), *(float(np.abs(w.relevance).sum()) for w in (ex.walks(), *ex.bias_walks())))
    assert sum(parts) == pytest.approx(ex.prediction, abs=1e-12 * size)
    assert [w.atoms.shape[1] for w in ex.bias_walks()] == list(range(n_layers, 0, -1))


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_walks_of_one_entry_are_a_chain_of_their_own(n_layers):
    chain = chain_of("painn", "full", n_layers=n_layers)
    entering = [chain.entering_at(t) for t in range(1, n_layers + 1)]
    everyone = AtomSets.of([list(range(chain.n_atoms))])
    for part in (chain.without_bias(), *entering):
        total = float(all_walks(part).relevance.sum())
        assert part.sum_of_walks() == pytest.approx(total, abs=1e-12)
        assert restricted_sums(part, everyone).tolist() == pytest.approx([total], abs=1e-12)
    parts = [chain.without_bias(), *entering]
    assert sum(p.sum_of_walks() for p in parts) == pytest.approx(chain.sum_of_walks(), abs=1e-12)
    assert [p.constant for p in entering] == [0.0] * n_layers


# Sums over walks inside sets


def sums_by_walks(ex: atomlens.Explanation, sets: list[list[int]]) -> list[float]:
    lists = [ex.walks(), *ex.bias_walks()]
    return [sum(float(w.relevance[np.isin(w.atoms, s).all(axis=1)].sum()) for w in lists) for s in sets]


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_restricted_sums_are_sums_of_walks(monkeypatch, architecture, product_rule, n_layers):
    model = small_model(architecture, n_layers=n_layers, n_features=3, cutoff=3.1)
    ex = atomlens.explain(model, branched(), "gate", product_rule)
    sets = [list(s) for n in range(6) for s in itertools.combinations(range(5), n)]
    # In any order of sets, with repeats, and with atoms in any order.
    sets = [s[::-1] for s in reversed(sets)] + [[4, 0, 2], [0, 1, 2, 3, 4]]
    expected = sums_by_walks(ex, sets)
    whole = restricted_sums(ex.chain, AtomSets.of(sets)).tolist()
    assert whole == pytest.approx(expected, abs=1e-12)
    assert whole[-1] == pytest.approx(ex.chain.sum_of_walks(), abs=1e-12)
    for batch in (1, 4, 9):
        monkeypatch.setattr(restricted_module, "_BATCH", batch)
        assert restricted_sums(ex.chain, AtomSets.of(sets)).tolist() == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(
    "sets", [[[3, 0]], [[1, 2], [2, 3], [0, 9]], [list(range(12))], [list(range(11, -1, -1)), [4, 6], [5, 2, 4, 3]]]
)
def test_pairs_inside_sets_are_found_from_either_side(sets):
    # A row with neighbours up to three places away: small sets are searched by members, large ones by neighbours.
    row = ase.Atoms("H12", positions=[[k, 0.01 * k, 0] for k in range(12)])
    chain = chain_of(atoms=row)
    target, source, pair = inner_pairs(chain, AtomSets.of(sets))
    flat = [(s, a) for s, members in enumerate(sets) for a in members]
    expected = {
        (m, n)
        for (m, (s, a)), (n, (other, b)) in itertools.product(enumerate(flat), repeat=2)
        if s == other and 0 < abs(a - b) <= 3
    }
    assert len(target) == len(expected)
    assert set(zip(target.tolist(), source.tolist(), strict=True)) == expected
    atoms = torch.tensor([a for _, a in flat])
    assert torch.equal(chain.pairs.target[pair], atoms[target])
    assert torch.equal(chain.pairs.source[pair], atoms[source])


def test_restricted_sums_of_no_sets_and_of_the_empty_set():
    chain = chain_of()
    assert restricted_sums(chain, AtomSets.of([])).tolist() == []
    assert restricted_sums(chain, AtomSets.of([[]])).tolist() == [0.0]
    one = restricted_sums(chain, AtomSets.of([[2]])).tolist()
    assert restricted_sums(chain, AtomSets.of([[], [2], []])).tolist() == pytest.approx([0.0, *one, 0.0])


def test_uniform_sets_are_the_same_sets():
    members = torch.tensor([[0, 1], [2, 3], [1, 4]])
    sets, same = AtomSets.uniform(members), AtomSets.of(members.tolist())
    assert torch.equal(sets.atoms, same.atoms)
    assert torch.equal(sets.sizes, same.sizes)


def test_full_walks_alone_are_those_of_the_chain_without_bias():
    chain = chain_of("painn", "full")
    walks = all_walks(chain)
    inside = np.isin(walks.atoms, [0, 1, 3]).all(axis=1)
    (z,) = restricted_sums(chain.without_bias(), AtomSets.of([[0, 1, 3]])).tolist()
    assert z == pytest.approx(walks.relevance[inside].sum(), abs=1e-12)


# Shares of atoms


@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_shares_are_sums_of_walks_by_end_start_and_passage(architecture, product_rule):
    model = small_model(architecture, n_layers=2, n_features=3, cutoff=3.1)
    ex = atomlens.explain(model, branched(), "gate", product_rule)
    expected = np.zeros((3, 5))
    for walks in (ex.walks(), *ex.bias_walks()):
        np.add.at(expected[0], walks.atoms[:, -1], walks.relevance)
        np.add.at(expected[1], walks.atoms[:, 0], walks.relevance)
        for step in walks.atoms.T:
            np.add.at(expected[2], step, walks.relevance / walks.atoms.shape[1])
    shares = ex.atom_shares()
    np.testing.assert_allclose(shares.readout, expected[0], atol=1e-12)
    np.testing.assert_allclose(shares.start, expected[1], atol=1e-12)
    np.testing.assert_allclose(shares.passage, expected[2], atol=1e-12)
    for share in shares:
        assert share.sum() == pytest.approx(ex.prediction - ex.constant, abs=1e-12)


def test_the_readout_share_is_what_the_model_sums_up():
    model = small_model("schnet", n_layers=2)
    graph = model.graph(branched())
    chain = make_chain(model, graph, make_rule("gate"))
    network = model.readout.network
    per_atom = model.scale * (network(model.representation(graph).scalars)[:, 0] - network.layers[-1].bias)
    np.testing.assert_allclose(atom_shares(chain).readout, per_atom.numpy(), atol=1e-12)


# A chain whose walks are known without a computer


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3, 4])
def test_a_chain_of_numbers_has_walks_of_products(n_layers):
    """States of one channel, x' = x + W x: walks are products of entries of 1 + W."""
    weights = torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, -1.0], [0.0, 0.5, 0.0]], dtype=torch.float64)
    target, source = weights.nonzero().T
    pairs = merge_images(target, source, 3).pairs
    x = torch.tensor([[1.0], [10.0], [100.0]], dtype=torch.float64)
    chain = automatic_chain([lambda s: s + weights @ s] * n_layers, x, torch.sum, pairs, make_rule("gate"), constant=7)
    matrix = (torch.eye(3, dtype=torch.float64) + weights).tolist()
    for walk, relevance in zip(*map(np.ndarray.tolist, all_walks(chain)), strict=True):
        steps = [matrix[b][a] for a, b in itertools.pairwise(walk)]
        assert relevance == pytest.approx(10.0 ** walk[0] * np.prod(steps), rel=1e-12)
    power = np.linalg.matrix_power(np.array(matrix), n_layers)
    assert chain.prediction == pytest.approx(7 + (power @ x.numpy()).sum(), rel=1e-12)
    allowed = (np.array(matrix) != 0).astype(int)
    assert count_walks(chain) == np.linalg.matrix_power(allowed, n_layers).sum()
