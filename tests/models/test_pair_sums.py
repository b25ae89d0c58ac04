"""Sums over pairs: the fast way against its definition, values and derivatives."""

from dataclasses import replace

import pytest
import torch
from ase import Atoms
from ase.build import molecule

from atomlens.models import ModelConfig, OutputConfig, Potential, ReadoutConfig, RepresentationConfig
from atomlens.models.fast import blocks as blocks_module
from atomlens.models.fast.convolution import convolve, plain_convolve
from atomlens.models.fast.messages import plain_sum_messages, sum_messages
from atomlens.models.fast.pairs import half_of_edges
from atomlens.models.features import edge_features
from atomlens.structures import AtomGraph, build_graph

N, PAIRS, F, R = 4, 7, 3, 5


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(
        *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))
    ).requires_grad_()


def ends(ways: int) -> tuple[torch.Tensor, torch.Tensor]:
    target, source = torch.randint(N, (2, PAIRS), generator=torch.Generator().manual_seed(3))
    return (torch.stack([target, source]), torch.stack([source, target])) if ways == 2 else (target[None], source[None])


def message_inputs(ways: int, vectors: bool) -> tuple[torch.Tensor, ...]:
    rows, width = (3 * F, 5 * F) if vectors else (2 * F, 2 * F)
    return randn(PAIRS, R), randn(rows, R), randn(ways, PAIRS, 3), randn(N, width)


@pytest.fixture(params=[10, 10**6], ids=["many-blocks", "one-block"])
def _block(request, monkeypatch):
    monkeypatch.setattr(blocks_module, "_BLOCK", request.param)


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("ways", [1, 2])
class TestSums:
    @pytest.mark.parametrize("vectors", [True, False])
    def test_messages(self, ways, vectors):
        inputs, atoms = message_inputs(ways, vectors), ends(ways)
        torch.testing.assert_close(sum_messages(*inputs, *atoms), plain_sum_messages(*inputs, *atoms))
        with torch.no_grad():
            torch.testing.assert_close(sum_messages(*inputs, *atoms), plain_sum_messages(*inputs, *atoms))
        assert torch.autograd.gradcheck(lambda *x: sum_messages(*x, *atoms), inputs, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(lambda *x: sum_messages(*x, *atoms), inputs, fast_mode=True)

    def test_messages_of_which_some_factors_are_wanted(self, ways):
        atoms = ends(ways)
        for wanted in ({0}, {1}, {2}, {3}, {0, 2, 3}, {0, 1, 3}):
            inputs = [x.detach().requires_grad_(k in wanted) for k, x in enumerate(message_inputs(ways, True))]
            assert torch.autograd.gradcheck(lambda *x: sum_messages(*x, *atoms), inputs)

    def test_convolution(self, ways):
        inputs, atoms = (randn(PAIRS, F), randn(N, F)), ends(ways)
        torch.testing.assert_close(convolve(*inputs, *atoms), plain_convolve(*inputs, *atoms))
        assert torch.autograd.gradcheck(lambda *x: convolve(*x, *atoms), inputs, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(lambda *x: convolve(*x, *atoms), inputs)

    def test_no_pairs(self, ways):
        none = torch.zeros(ways, 0, dtype=torch.int64)
        states = randn(N, 5 * F)
        result = sum_messages(randn(0, R), randn(3 * F, R), randn(ways, 0, 3), states, none, none)
        assert torch.equal(result, torch.zeros(N, 4 * F, dtype=torch.float64))
        assert torch.equal(torch.autograd.grad(result.sum(), states)[0], torch.zeros_like(states))
        assert not convolve(randn(0, F), randn(N, F), none, none).any()


def ethanol() -> AtomGraph:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return build_graph(atoms, 3.2)


def crystal() -> AtomGraph:
    """Small enough that atoms meet their own images, and others in several."""
    cell = [[3.1, 0, 0], [0.4, 2.9, 0], [0.2, -0.3, 3.4]]
    positions = [[0, 0, 0], [0.4, 0.1, 0.1], [0.2, 0.7, 0.5]]
    return build_graph(Atoms("COH", scaled_positions=positions, cell=cell, pbc=True), 3.2)


def one_way() -> AtomGraph:
    graph = ethanol()
    kept = torch.arange(graph.n_edges) % 3 > 0
    return replace(graph, target=graph.target[kept], source=graph.source[kept], offsets=graph.offsets[kept])


def lonely() -> AtomGraph:
    return build_graph(Atoms("He"), 3.2)


GRAPHS = [ethanol, crystal, one_way, lonely]


def test_half_of_the_edges():
    for graph in (ethanol(), crystal()):
        chosen, mutual = half_of_edges(graph)
        assert mutual
        edges = list(
            zip(graph.target.tolist(), graph.source.tolist(), graph.offsets.round(decimals=6).tolist(), strict=True)
        )
        there = [edges[k] for k in chosen.tolist()]
        back = [(j, i, [0.0 - x for x in offset]) for i, j, offset in there]
        assert sorted(there + back) == sorted((i, j, [x + 0.0 for x in offset]) for i, j, offset in edges)
    chosen, mutual = half_of_edges(one_way())
    assert not mutual
    assert chosen.tolist() == list(range(one_way().n_edges))


def potential(architecture: str, **options) -> Potential:
    torch.manual_seed(0)
    representation = RepresentationConfig(architecture=architecture, n_features=6, n_layers=2, **options)
    model = Potential(
        ModelConfig(
            representation=representation,
            readout=ReadoutConfig(widths=(6, 3, 1)),
            output=OutputConfig("energy", "eV", extensive=True, has_forces=True),
        )
    )
    return model.cast(torch.float64)


def by_definition(model: Potential, graph: AtomGraph) -> torch.Tensor:
    """Atom features layer by layer and edge by edge."""
    net = model.representation
    edges = edge_features(graph, net.basis, net.cutoff)
    q = net.embedding(graph.numbers)
    if model.config.representation.architecture == "schnet":
        for layer in net.layers:
            q = layer(q, edges)
        return q
    mu = q.new_zeros(len(q), 3, q.shape[1])
    for t, (interaction, mixing) in enumerate(zip(net.interactions, net.mixings, strict=True)):
        q, mu = mixing(*interaction(q, mu, net.filters(t, edges), edges))
    return torch.cat([q, mu.flatten(1)], dim=1)


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize(
    ("architecture", "options"),
    [("schnet", {}), ("painn", {}), ("painn", {"shared_filters": True, "shared_interactions": True})],
)
def test_models_are_their_layers(make, architecture, options):
    graph, model = make(), potential(architecture, **options)
    positions = graph.positions.requires_grad_()
    found = []
    for way in ("fast", "definition"):
        if way == "fast":
            features = model.representation(graph)
            state = features.scalars
            if features.vectors is not None:
                state = torch.cat([state, features.vectors.flatten(1)], dim=1)
        else:
            state = by_definition(model, graph)
        weights = torch.linspace(-1, 1, state.numel(), dtype=state.dtype).reshape(state.shape)
        loss = (weights * state).sum()
        wanted = [positions, *model.representation.parameters()]
        found.append((state, *torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_derivatives_of_forces(architecture):
    graph, model = ethanol(), potential(architecture)
    _, forces = model.energy_and_forces(graph, create_graph=True)
    wanted = list(model.representation.parameters())
    found = torch.autograd.grad(forces.square().sum(), wanted, allow_unused=True, materialize_grads=True)
    positions = graph.positions.requires_grad_()
    energy = model.readout.network(by_definition(model, graph)[:, :6]).sum()
    gradient = torch.autograd.grad(energy, positions, create_graph=True)[0]
    expected = torch.autograd.grad(gradient.square().sum(), wanted, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_rows_of_the_hessian_together(architecture):
    graph, model = ethanol(), potential(architecture)
    positions = graph.positions.requires_grad_()
    gradient = torch.autograd.grad(model(graph).sum(), positions, create_graph=True)[0].flatten()
    identity = torch.eye(len(gradient), dtype=torch.float64)
    together = torch.autograd.grad(gradient, positions, identity, is_grads_batched=True, retain_graph=True)[0]
    one_by_one = [torch.autograd.grad(gradient, positions, row, retain_graph=True)[0] for row in identity]
    torch.testing.assert_close(together, torch.stack(one_by_one))
    hessian = together.reshape(len(gradient), -1)
    torch.testing.assert_close(hessian, hessian.T)
