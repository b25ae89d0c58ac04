"""The closed forms of a chain against automatic differentiation of the same model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ase
import pytest
import torch
from hypothesis import given, settings

from atomlens.chain import Chain, make_automatic_chain, make_chain, make_rule, merge_images
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.on_demand import OnDemand
from atomlens.chain.painn import painn_layers
from atomlens.models import Potential
from samples import FORMS, RULES, branched, crowded_cell, crystals, small_model

READOUTS: dict[str, dict[str, Any]] = {
    "sum": {},
    "mean": {"aggregation": "avg"},
    "softmax": {"aggregation": "softmax"},
    "one layer": {"widths": (4, 1)},
    "four layers": {"widths": (4, 5, 3, 1)},
    "charges": {"kind": "dipole"},
    "magnitude of charges": {"kind": "dipole", "magnitude": True, "correct_charges": False},
}
VECTOR_READOUTS: dict[str, dict[str, Any]] = {
    "dipoles": {"kind": "dipole", "vectors": True},
    "magnitude of dipoles": {"kind": "dipole", "vectors": True, "magnitude": True},
    "polarizability": {"kind": "polarizability"},
}


def close(a: Any, b: Any, scale: float) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=1e-10 * scale)


def assert_same_chain(closed: Chain, automatic: Chain) -> None:
    """Same maps, layer by layer: what they do to any state and any derivative is the same."""
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(closed.pairs.target, automatic.pairs.target)
    assert torch.equal(closed.pairs.source, automatic.pairs.source)
    close(closed.embedding, automatic.embedding, 1.0)
    for t, (first, second) in enumerate(zip(closed.layers, automatic.layers, strict=True)):
        before = closed.embedding if t == 0 else closed.layers[t - 1].bias
        x, u = (torch.randn(y.shape, generator=generator, dtype=torch.float64) for y in (before, second.bias))
        image = automatic.step(t, x)
        size = max(1.0, float(image.abs().max()))
        close(closed.step(t, x), image, size)
        pulled = automatic.step_back(t, u)
        close(closed.step_back(t, u), pulled, max(1.0, float(pulled.abs().max())))
        # The two are transposes of each other, and map one atom's state along pairs alone.
        assert float((image * u).sum()) == pytest.approx(float((pulled * x).sum()), rel=1e-9, abs=1e-9 * size)
        close(first.bias, second.bias, max(1.0, float(second.bias.abs().max())))
    weight = max(1.0, float(automatic.readout.abs().max()))
    close(closed.readout, automatic.readout, weight)
    size = max(1.0, abs(automatic.prediction))
    assert closed.prediction == pytest.approx(automatic.prediction, abs=1e-10 * size)
    # The automatic form cannot tell biases of the readout from constants.
    assert closed.constant + float(closed.readout_bias.sum()) == pytest.approx(automatic.constant, abs=1e-10 * size)
    for chain in (closed, automatic):
        assert chain.constant + chain.sum_of_walks() == pytest.approx(chain.prediction, abs=1e-10 * size)


def compare(model: Potential, atoms: ase.Atoms, rule: str, product_rule: str) -> None:
    graph, held = model.graph(atoms), make_rule(rule)
    assert_same_chain(
        make_chain(model, graph, held, product_rule), make_automatic_chain(model, graph, held, product_rule)
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("readout", list(READOUTS))
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_readouts_of_scalars(architecture, product_rule, rule, readout):
    compare(small_model(architecture, n_layers=2, readout=READOUTS[readout]), branched(), rule, product_rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("readout", list(VECTOR_READOUTS))
@pytest.mark.parametrize("product_rule", ["scalar", "full"])
def test_readouts_of_vectors(product_rule, rule, readout):
    compare(small_model("painn", n_layers=2, readout=VECTOR_READOUTS[readout]), branched(), rule, product_rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
@pytest.mark.parametrize("n_layers", [1, 4])
def test_any_number_of_layers(architecture, product_rule, rule, n_layers):
    compare(small_model(architecture, n_layers=n_layers), branched(), rule, product_rule)


@pytest.mark.parametrize(
    "options",
    [
        {"shared_interactions": True},
        {"shared_filters": True},
        {"n_filters": 6},
        {"activation": "shifted_softplus"},
        {"activation": "sigmoid"},
        {"activation": "relu"},
        {"activation": "identity"},
        {"epsilon": 1e-4},
    ],
)
@pytest.mark.parametrize("rule", ["gamma", "gradient"])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_options_of_the_architectures(architecture, product_rule, rule, options):
    compare(small_model(architecture, n_layers=2, **options), branched(), rule, product_rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_cells_with_several_images(architecture, product_rule, rule):
    compare(small_model(architecture, cutoff=3.1), crowded_cell(), rule, product_rule)


@settings(max_examples=10)
@given(atoms=crystals())
def test_any_cell(atoms):
    for architecture, product_rule in FORMS:
        compare(small_model(architecture, n_layers=2, n_features=3, cutoff=2.0), atoms, "gamma", product_rule)


@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
@pytest.mark.parametrize("atoms", [ase.Atoms("O"), ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 30.0]])])
def test_atoms_without_neighbours(architecture, product_rule, atoms):
    for rule in RULES:
        compare(small_model(architecture), atoms, rule, product_rule)


@pytest.mark.parametrize("rule", ["gate", "gamma"])
def test_vectors_of_length_zero(rule):
    # With epsilon zero their norms are zero too, and have no direction.
    model = small_model("painn", epsilon=0.0)
    compare(model, ase.Atoms("C"), rule, "full")
    compare(model, ase.Atoms("CO", positions=[[0, 0, 0], [0, 0, 30.0]]), rule, "full")
    # In the middle of a symmetric molecule vectors cancel, to rounding or entirely.
    symmetric = ase.Atoms("HCH", positions=[[-1, 0, 0], [0, 0, 0], [1, 0, 0]])
    for make in (make_chain, make_automatic_chain):
        chain = make(model, model.graph(symmetric), make_rule(rule), "full")
        assert chain.constant + chain.sum_of_walks() == pytest.approx(chain.prediction, abs=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_parameters_that_train_change_nothing(rule):
    model = small_model("painn").requires_grad_(True)
    compare(model, branched(), rule, "full")
    assert all(p.grad is None for p in model.parameters())
    held = make_chain(model, model.graph(branched()), make_rule(rule), "full")
    assert not held.embedding.requires_grad
    assert not held.readout.requires_grad
    assert not any(layer.bias.requires_grad for layer in held.layers)


def test_what_a_chain_is_not_made_for():
    from atomlens.structures import collate

    model = small_model()
    graph = model.graph(branched())
    with pytest.raises(ValueError, match="the graph holds 2"):
        make_chain(model, collate([graph, graph]), make_rule("gate"))
    with pytest.raises(ValueError, match="product rule 'half' is not known; choose full or scalar"):
        make_chain(model, graph, make_rule("gate"), "half")


@torch.no_grad()
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("product_rule", ["scalar", "full"])
@pytest.mark.parametrize("atoms", [branched(), crowded_cell()])
def test_weights_of_edges_that_are_not_kept(product_rule, rule, atoms):
    """As in large systems: made when they are asked for, unless images of a pair have to be added up."""
    model = small_model("painn", cutoff=3.1).requires_grad_(True)
    graph, held = model.graph(atoms), make_rule(rule)
    images = merge_images(graph.target, graph.source, graph.n_atoms)
    blocks = EdgeBlocks(graph, model.representation.basis, model.representation.cutoff, block=2, kept=False)
    layers, _ = painn_layers(model.representation, blocks, images, held, product_rule)
    assert all(isinstance(layer.edges, OnDemand) for layer in layers) == images.every_edge_is_a_pair
    made = replace(make_chain(model, graph, held, product_rule), layers=tuple(layers))
    with torch.enable_grad():
        assert_same_chain(made, make_automatic_chain(model, graph, held, product_rule))
        assert not made.step(0, made.embedding).requires_grad
