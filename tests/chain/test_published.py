"""The published rule against its formula, layer by layer, and its walks against masked backward passes."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

import atomlens
from atomlens.chain import Published, make_automatic_chain, make_chain
from atomlens.models import PaiNN, Potential, SchNet, edge_features
from atomlens.structures import AtomGraph, InputError
from oracle import all_sequences, keep
from samples import branched, crowded_cell, small_model

F64 = torch.float64
ARCHITECTURES = ("schnet", "painn", "so3net")


def replaced(layer: nn.Linear, act: Callable[[Tensor], Tensor], x: Tensor, gamma: float = 0.1) -> Tensor:
    """A layer with an activation as the rule has it, one output after the other."""
    y = act(layer(x)).detach()
    bias = torch.zeros(layer.out_features, dtype=x.dtype) if layer.bias is None else layer.bias
    columns = []
    for k in range(layer.out_features):
        terms, b = x * layer.weight[k], bias[k]
        above = (terms + gamma * terms.clamp(min=0)).sum(-1), b + gamma * b.clamp(min=0)
        below = (terms + gamma * terms.clamp(max=0)).sum(-1), b + gamma * b.clamp(max=0)
        up = (above[0] + above[1]) * (y[:, k] / torch.maximum(above[0], above[1].expand(len(x)))).detach()
        down = (below[0] + below[1]) * (y[:, k] / torch.minimum(below[0], below[1].expand(len(x)))).detach()
        columns.append(torch.where(y[:, k] > 1e-6, up, torch.where(y[:, k] < -1e-6, down, torch.zeros_like(y[:, k]))))
    return torch.stack(columns, dim=1)


class Program:
    """The replaced network, its states masked along a walk."""

    def __init__(self, model: Potential, graph: AtomGraph) -> None:
        self.model, self.graph = model, graph
        self.net = model.representation
        self.edges = edge_features(graph, self.net.basis, self.net.cutoff)

    def value(self, x: Tensor, walk: tuple[int, ...] | None) -> Tensor:
        net, e, n = self.net, self.edges, len(x)
        mu, states = torch.zeros(n, 3, x.shape[1], dtype=F64), x[:, None]
        for t in range(self.model.config.representation.n_layers):
            if isinstance(net, SchNet):
                layer = net.layers[t]
                filters = layer.filter_out(replaced(layer.filter_in, layer.activation, e.radial)) * e.envelope[:, None]
                sent = layer.source(x)[e.source] * filters
                gathered = sent.new_zeros(n, sent.shape[1]).index_add(0, e.target, sent)
                x = x + layer.update_out(replaced(layer.update_in, layer.activation, gathered))
            elif isinstance(net, PaiNN):
                inter, mixing = net.interactions[t], net.mixings[t]
                c = inter.context_out(replaced(inter.context_in, inter.activation, x))
                s, r, v = (net.filters(t, e) * c[e.source]).chunk(3, dim=-1)
                x = x.index_add(0, e.target, s)
                mu = mu.index_add(0, e.target, r[:, None] * e.directions[:, :, None] + v[:, None] * mu[e.source])
                mu = mu.detach()
                left, right = (mu @ mixing.vector_mix.weight.T).chunk(2, dim=-1)
                norm = torch.sqrt((left * left).sum(1) + mixing.epsilon)
                hidden = replaced(mixing.context_in, mixing.activation, torch.cat([x, norm], dim=1))
                a, b, gate = mixing.context_out(hidden).chunk(3, dim=-1)
                x, mu = x + a + gate * (left * right).sum(1), (mu + b[:, None] * right).detach()
            else:
                states = torch.cat([x[:, None], states[:, 1:].detach()], dim=1)
                rotors = net.algebra.rotors(net.algebra.harmonics(e.directions))
                states = net.layers[t](states, rotors, e, net.algebra)
                x = states[:, 0]
            x = keep(x, None if walk is None else walk[t + 1])
        network = self.model.readout.network
        for layer in network.layers[:-1]:
            x = replaced(layer, network.activation, x)
        y = network.layers[-1](x).sum() / (n if self.model.config.readout.aggregation == "avg" else 1)
        return self.model.scale * y + self.model.offset(self.graph).sum()

    def walk(self, walk: tuple[int, ...]) -> float:
        x = self.net.embedding(self.graph.numbers).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.value(x, walk), x)
        return float((gradient[walk[0]] * x[walk[0]].detach()).sum())


@pytest.mark.parametrize("readout", ["sum", "avg"])
@pytest.mark.parametrize("atoms", [branched(), crowded_cell()], ids=["open", "cell"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_walks_are_those_of_the_program(architecture, atoms, readout):
    cutoff = 3.1 if atoms.pbc.any() else 2.5
    model = small_model(architecture, n_layers=3, n_features=4, cutoff=cutoff, readout={"aggregation": readout})
    graph = model.graph(atoms)
    program = Program(model, graph)
    ex = atomlens.explain(model, atoms, "published")
    assert (ex.rule, ex.product_rule) == ("published", "scalar")
    walks = ex.walks()
    found = {tuple(w): r for w, r in zip(walks.atoms.tolist(), walks.relevance.tolist(), strict=True)}
    expected = {w: program.walk(w) for w in all_sequences(graph, 4)}
    assert found.keys() == expected.keys()
    size = max(map(abs, expected.values()))
    np.testing.assert_allclose([found[w] for w in expected], list(expected.values()), rtol=0, atol=1e-11 * size)

    # What everything adds up to is the output of the replaced network, and the residual what it misses the model by.
    with torch.no_grad():
        output = float(program.value(program.net.embedding(graph.numbers), None))
    assert ex.prediction == pytest.approx(model.predict(atoms).energy, rel=1e-12)
    assert ex.prediction - ex.residual == pytest.approx(output, rel=1e-12)
    assert abs(ex.residual) > 1e-3


def test_one_layer_is_the_formula():
    layer, x = nn.Linear(5, 7, dtype=F64), torch.randn(6, 5, dtype=F64)
    layer.weight.data[2], layer.bias.data[2] = 0.0, 0.0  # an output of zero is dropped
    with torch.no_grad():
        affine, value = Published().dense(layer, nn.functional.silu, x)
        torch.testing.assert_close(value, replaced(layer, nn.functional.silu, x), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(affine.operator.apply(x, None) + affine.bias, value, rtol=1e-12, atol=1e-14)
        assert float(value[:, 2].abs().max()) == 0.0
        first, _ = Published().dense(layer, nn.functional.silu, x[:, :3], frozen=x[:, 3:])
        torch.testing.assert_close(first.operator.apply(x[:, :3], None) + first.bias, value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_terms_do_not_turn_with_the_molecule(architecture):
    model, atoms = small_model(architecture), branched()
    turned = atoms.copy()
    turned.positions = atoms.positions @ Rotation.from_euler("zyz", [0.4, 1.2, -0.9]).as_matrix()
    first, second = (atomlens.explain(model, a, "published").interactions(max_order=3) for a in (atoms, turned))
    for order in (1, 2, 3):
        np.testing.assert_allclose(first.order(order).relevance, second.order(order).relevance, rtol=0, atol=1e-10)


def test_operators_are_transposes_of_their_pulls():
    model = small_model("so3net", l_max=2, cutoff=3.1)
    chain = make_chain(model, model.graph(crowded_cell()), Published())
    for t in range(chain.n_layers):
        x, u = torch.randn(2, *chain.embedding.shape, dtype=F64)
        assert float((chain.step(t, x) * u).sum()) == pytest.approx(float((x * chain.step_back(t, u)).sum()), rel=1e-10)


def test_what_it_is_not_for():
    atoms = ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]])
    for readout in ({"aggregation": "softmax"}, {"kind": "dipole", "vectors": True}):
        with pytest.raises(InputError, match="the rule published is for sums and means over atoms"):
            atomlens.explain(small_model("painn", readout=readout), atoms, "published")
    model = small_model("schnet")
    with pytest.raises(ValueError, match="the rule published changes values"):
        make_automatic_chain(model, model.graph(atoms), Published())
