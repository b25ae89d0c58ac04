"""Forces whose way back is written out, against autograd."""

from dataclasses import replace
from typing import Any

import ase
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlens.models import CutoffConfig, Potential, RadialConfig
from atomlens.models.fast import blocks as blocks_module
from atomlens.models.fast.forces import energy_gradient, is_written_out
from atomlens.models.radial import make_cutoff
from atomlens.structures import AtomGraph, build_graph, collate
from samples import small_model

CUTOFF = 2.5


def by_autograd(model: Potential, graph: AtomGraph) -> tuple[torch.Tensor, torch.Tensor]:
    y, forces = model.energy_and_forces(graph, create_graph=True)
    return y.detach(), forces.detach()


def assert_same(model: Potential, graph: AtomGraph) -> None:
    assert is_written_out(model.representation, model.readout)
    y, forces = model.energy_and_forces(graph)
    expected, expected_forces = by_autograd(model, graph)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    # A force is a sum of larger terms.
    size = float(expected_forces.abs().max()) if graph.n_atoms else 0.0
    torch.testing.assert_close(forces, expected_forces, rtol=1e-12, atol=1e-12 * max(size, 1.0))
    assert not any(x.requires_grad or x.is_inference() for x in (y, forces))


def molecule(n_atoms: int, seed: int) -> ase.Atoms:
    rng = np.random.default_rng(seed)
    return ase.Atoms(
        rng.choice([1, 6, 7, 8], n_atoms), positions=rng.uniform(0, 1.2 * n_atoms ** (1 / 3), (n_atoms, 3))
    )


def crystal() -> AtomGraph:
    """Small enough that atoms meet their own images, and others in several."""
    cell = [[2.1, 0, 0], [0.4, 1.9, 0], [0.2, -0.3, 2.4]]
    positions = [[0, 0, 0], [0.4, 0.1, 0.1], [0.2, 0.7, 0.5]]
    return build_graph(ase.Atoms("COH", scaled_positions=positions, cell=cell, pbc=True), CUTOFF)


def one_way() -> AtomGraph:
    graph = build_graph(molecule(6, 1), CUTOFF)
    kept = torch.arange(graph.n_edges) % 3 > 0
    return replace(graph, target=graph.target[kept], source=graph.source[kept], offsets=graph.offsets[kept])


GRAPHS = {
    "crystal": crystal(),
    "one way": one_way(),
    "single atom": build_graph(ase.Atoms("O"), CUTOFF),
    "no edges": build_graph(ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 9]]), CUTOFF),
    "batch": collate([build_graph(molecule(n, n), CUTOFF) for n in (4, 1, 7)]),
}


@pytest.fixture(params=[40, 10**6], ids=["many-blocks", "one-block"])
def _block(request, monkeypatch):
    monkeypatch.setattr(blocks_module, "_BLOCK", request.param)


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("architecture", ["painn", "schnet"])
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(architecture, name):
    assert_same(small_model(architecture, cutoff=CUTOFF), GRAPHS[name])
    assert_same(small_model(architecture, cutoff=CUTOFF, readout={"aggregation": "avg"}), GRAPHS[name])


@settings(max_examples=60, deadline=None)
@given(
    architecture=st.sampled_from(["painn", "schnet"]),
    n_layers=st.integers(1, 4),
    shared_filters=st.booleans(),
    shared_interactions=st.booleans(),
    radial=st.sampled_from(["gaussian", "gaussian_centered", "bessel"]),
    envelope=st.sampled_from(["cosine", "mollifier", "polynomial"]),
    activation=st.sampled_from(["silu", "softplus", "shifted_softplus"]),
    aggregation=st.sampled_from(["sum", "avg"]),
    widths=st.sampled_from([(4, 1), (4, 3, 1), (4, 5, 3, 1)]),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    seed=st.integers(0, 2**16),
)
def test_options(
    architecture, n_layers, shared_filters, shared_interactions, radial, envelope, activation, aggregation, widths,
    sizes, seed,
):  # fmt: skip
    start: dict[str, Any] = {"start": 0.5} if radial == "gaussian_centered" else {}  # a width of zero is no width
    model = small_model(
        architecture,
        n_layers=n_layers,
        cutoff=CUTOFF,
        activation=activation,
        readout={"aggregation": aggregation, "widths": widths},
        output={"extensive": aggregation == "sum"},
        shared_filters=shared_filters,
        shared_interactions=shared_interactions,
        radial=RadialConfig(kind=radial, n_rbf=5, cutoff=CUTOFF, **start),
        seed=seed,
    )
    model.representation.cutoff = make_cutoff(CutoffConfig(kind=envelope, cutoff=CUTOFF)).double()
    assert_same(model, collate([build_graph(molecule(n, seed + k), CUTOFF) for k, n in enumerate(sizes)]))


def test_forces_follow_the_energy():
    model, graph = small_model(cutoff=CUTOFF), GRAPHS["crystal"]
    _, gradient = energy_gradient(model.representation, model.readout, graph)
    for atom, x in ((0, 0), (1, 2), (2, 1)):
        moved = []
        for h in (1e-5, -1e-5):
            positions = graph.positions.clone()
            positions[atom, x] += h
            moved.append(energy_gradient(model.representation, model.readout, replace(graph, positions=positions))[0])
        torch.testing.assert_close(gradient[atom, x], (moved[0] - moved[1])[0] / 2e-5, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", [{"activation": "tanh"}, {"readout": {"aggregation": "softmax"}}])
def test_others_are_left_to_autograd(options):
    model = small_model(cutoff=CUTOFF, **options)
    assert not is_written_out(model.representation, model.readout)
    _, forces = model.energy_and_forces(GRAPHS["batch"])
    torch.testing.assert_close(forces, by_autograd(model, GRAPHS["batch"])[1])


def test_memory_that_is_kept_serves_sweeps_of_all_kinds():
    """Larger after smaller, autograd after inference mode, one type of numbers after another."""
    for n_atoms in (3, 9, 5):
        graph = build_graph(molecule(n_atoms, 0), CUTOFF)
        for dtype in (torch.float64, torch.float32):
            model = small_model(cutoff=CUTOFF, dtype=dtype)
            for_dtype = graph.to(dtype=dtype)
            _, forces = model.energy_and_forces(for_dtype)
            model.requires_grad_()
            model(for_dtype).sum().backward()
            again = model.energy_and_forces(for_dtype)[1]
            assert torch.equal(again, forces)
