"""Explanations of SO3net, which rest on a recording of its module."""

from __future__ import annotations

from dataclasses import replace

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

import atomlens
from atomlens.chain import Chain, make_chain, make_rule
from atomlens.interactions import explain_batch
from atomlens.models import Potential, SO3net, edge_features
from oracle import Held, all_sequences, keep
from samples import RULES, branched, crowded_cell, long_range_model, small_model

PRODUCTS = ("scalar", "full")
STRUCTURES = {"chain": branched, "cell": crowded_cell}


def so3net(**options) -> Potential:
    return small_model("so3net", cutoff=options.pop("cutoff", 2.5), n_features=3, **options)


def close(a, b, accuracy=1e-10) -> None:
    np.testing.assert_allclose(a, b, rtol=0, atol=accuracy * max(1.0, float(np.abs(b).max(initial=0.0))))


@pytest.mark.parametrize("structure", list(STRUCTURES))
@pytest.mark.parametrize("product_rule", PRODUCTS)
@pytest.mark.parametrize("rule", RULES)
def test_everything_adds_up_and_chain_and_recording_agree(rule, product_rule, structure):
    model, atoms = so3net(), STRUCTURES[structure]()
    ex = atomlens.explain(model, atoms, rule, product_rule)
    size = max(1.0, abs(ex.prediction))
    assert ex.prediction == pytest.approx(model.predict(atoms).energy, abs=1e-10 * size)
    assert abs(ex.residual) < 1e-10 * size
    assert ex.no_walks is None
    everything = sum(w.relevance.sum() for w in (ex.walks(), *ex.bias_walks()))
    assert ex.constant + everything == pytest.approx(ex.prediction, abs=1e-10 * size)

    recorded, chained = ex.interactions(3), atomlens.explain_chain(ex.chain, atoms, cutoff=2.5).interactions(3)
    for order in (1, 2, 3):
        assert recorded.order(order).atoms.tolist() == chained.order(order).atoms.tolist()
        close(recorded.order(order).relevance, chained.order(order).relevance)
    if len(atoms) == 3:
        assert abs(recorded.remainder) < 1e-10 * size
    # The order of terms is real: pairs are not all zero.
    assert np.abs(recorded.order(2).relevance).max() > 1e-4


def masked(model: Potential, atoms: ase.Atoms, rule: str, walk: tuple[int, ...]) -> float:
    """One walk by a masked backward pass, products in halves, written out."""
    net, held, graph = model.representation, Held(rule), model.graph(atoms)
    assert isinstance(net, SO3net)
    one = torch.ones((), dtype=torch.float64)
    edges = edge_features(graph, net.basis, net.cutoff)
    rotors = net.algebra.rotors(net.algebra.harmonics(edges.directions))
    table = net.algebra.coupling.flatten(0, 1).T
    start = net.embedding(graph.numbers).detach().requires_grad_()
    x = start[:, None]
    for layer, atom in zip(net.layers, walk[1:], strict=True):
        d = layer.convolve(x, rotors, edges)
        outer = held.product(d[:, :, None], (d @ layer.product_mix.weight.T)[:, None], one)
        g = (d + table @ outer.flatten(1, 2)) @ layer.mix_before.weight.T
        gates = held.activation(torch.sigmoid, layer.gate(g[:, 0]), one).unflatten(1, (3, -1))
        dx = held.product(g, gates.repeat_interleave(torch.tensor([1, 3, 5]), dim=1), one) @ layer.mix_after.weight.T
        x = keep(dx + torch.nn.functional.pad(x, (0, 0, 0, 9 - x.shape[1])), atom)
    s = x[:, 0]
    for layer in model.readout.network.layers[:-1]:
        s = held.activation(model.readout.network.activation, layer(s), one)
    y = model.scale * model.readout.network.layers[-1](s).sum()
    (gradient,) = torch.autograd.grad(y, start)
    return float((gradient[walk[0]] * start[walk[0]].detach()).sum())


@pytest.mark.parametrize("atoms", [molecule("H2O"), crowded_cell()], ids=["water", "cell"])
@pytest.mark.parametrize("rule", ["gate", "gradient"])
def test_walks_are_those_of_masked_backward_passes(rule, atoms):
    model = so3net(cutoff=3.1)
    walks = atomlens.explain(model, atoms, rule, "full").walks()
    found = {tuple(w): r for w, r in zip(walks.atoms.tolist(), walks.relevance.tolist(), strict=True)}
    expected = {w: masked(model, atoms, rule, w) for w in all_sequences(model.graph(atoms), 4)}
    assert found.keys() == expected.keys()
    close([found[w] for w in expected], list(expected.values()), 1e-11)


@pytest.mark.parametrize("product_rule", PRODUCTS)
@pytest.mark.parametrize("rule", RULES)
def test_terms_and_walks_do_not_turn_with_the_molecule(rule, product_rule):
    model, atoms = so3net(), branched()
    turned = atoms.copy()
    turned.positions = atoms.positions @ Rotation.from_euler("zyz", [0.4, 1.2, -0.9]).as_matrix()
    first, second = (atomlens.explain(model, a, rule, product_rule) for a in (atoms, turned))
    close(second.walks().relevance, first.walks().relevance)
    for order in (1, 2, 3):
        close(second.interactions(3).order(order).relevance, first.interactions(3).order(order).relevance)


@pytest.mark.parametrize("readout", [{"aggregation": "avg"}, {"kind": "dipole", "vectors": True, "magnitude": True}])
def test_other_readouts(readout):
    model = so3net(readout=readout)
    ex = atomlens.explain(model, branched(), "gate", "full")
    assert abs(ex.residual) < 1e-10


def test_many_structures_are_as_one_by_one():
    model, structures = so3net(), [branched(), molecule("H2O"), crowded_cell()]
    batch = explain_batch(model, structures, "gate", "full", max_order=2)
    for k, atoms in enumerate(structures):
        alone = atomlens.explain(model, atoms, "gate", "full")
        close(batch.interactions(k).order(2).relevance, alone.interactions(2).order(2).relevance)
        close(batch.atom_shares(k).readout, alone.atom_shares().readout)
        assert batch.predictions[k] == pytest.approx(alone.prediction, rel=1e-12)
    assert np.abs(batch.residuals).max() < 1e-10


def test_long_range_energies_stay_terms_of_pairs():
    model, atoms = long_range_model("so3net", "coulomb+dispersion"), branched()
    ex = atomlens.explain(model, atoms, "gate", "full")
    assert ex.prediction == pytest.approx(model.predict(atoms).energy, rel=1e-12)
    assert abs(ex.residual) < 1e-10
    assert ex.long_range_kinds == ("coulomb", "dispersion")
    bare = replace(make_chain(model, model.graph(atoms), make_rule("gate"), "full"), long_range=None)
    without = atomlens.explain_chain(bare, atoms, cutoff=2.5).interactions(2)
    found = {tuple(a): r for a, r in zip(*_columns(ex.interactions(2).order(2)), strict=True)}
    for a, r in zip(*_columns(without.order(2)), strict=True):
        found[tuple(a)] -= r
    expected = ex.long_range_terms()
    close([found[tuple(a)] for a in expected.atoms.tolist()], expected.relevance)


def _columns(terms):
    return terms.atoms.tolist(), terms.relevance.tolist()


def test_what_is_known_of_a_model_dies_with_it():
    import gc
    import weakref

    model = so3net(n_layers=1)
    assert isinstance(make_chain(model, model.graph(molecule("H2O")), make_rule("gate"), "full"), Chain)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
