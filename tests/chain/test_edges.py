"""Norms of edge maps bound what an edge does to any vector, and are reached by some."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atomlens.chain import ChannelWeights, EdgeMatrices, EdgeOperator
from atomlens.chain.on_demand import OnDemand
from atomlens.chain.operators import Shared
from atomlens.chain.painn_vectors import VectorMixing
from atomlens.chain.vector_edges import VectorFilters, VectorWeights
from atomlens.models import EdgeFeatures

WIDTH = 3


def random_edges(kind: str, generator: torch.Generator) -> tuple[EdgeOperator, int, int]:
    """Six edges, and the widths of their messages and of what arrives."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    if kind == "channels":
        return ChannelWeights(normal(6, WIDTH)), WIDTH, WIDTH
    if kind == "matrices":
        return EdgeMatrices(normal(6, 2, WIDTH)), WIDTH, 2
    parts, n_messages = (3, 5) if kind.startswith("vectors") else (2, 2)
    filters = VectorFilters(normal(6, parts, WIDTH), torch.nn.functional.normalize(normal(6, 3), dim=1))
    return VectorWeights.of(filters) if kind.endswith("images") else filters, n_messages * WIDTH, 4 * WIDTH


KINDS = ["channels", "matrices", "vectors", "vectors, images", "no vectors yet", "no vectors yet, images"]


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS))
def test_no_vector_is_lengthened_by_more_than_the_norm(seed, kind):
    generator = torch.Generator().manual_seed(seed)
    operator, width_in, width_out = random_edges(kind, generator)
    unit = torch.eye(width_in, dtype=torch.float64)
    maps = operator.apply(unit.expand(6, -1, -1), torch.arange(6)).mT
    spectral = torch.linalg.matrix_norm(maps, ord=2)
    assert maps.shape == (6, width_out, width_in)
    assert (operator.norms() >= spectral * (1 - 1e-12)).all()
    if kind != "matrices":  # nor is more promised than needed: bounds that are too large find nothing to leave out
        torch.testing.assert_close(operator.norms(), spectral)


@pytest.mark.parametrize("kind", KINDS)
def test_all_edges_in_order_need_no_index(kind):
    generator = torch.Generator().manual_seed(0)
    operator, width_in, width_out = random_edges(kind, generator)
    m = torch.randn(6, width_in, dtype=torch.float64, generator=generator)
    u = torch.randn(6, width_out, dtype=torch.float64, generator=generator)
    edges = torch.arange(6)
    torch.testing.assert_close(operator.apply(m, None), operator.apply(m, edges), rtol=0, atol=0)
    torch.testing.assert_close(operator.pull(u, None), operator.pull(u, edges), rtol=0, atol=0)


@given(seed=st.integers(0, 10**6))
def test_a_vector_along_its_edge_is_mixed_as_any_other(seed):
    """The short cut for messages of the first layer does what edges and mixing do one after the other."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    edges, width_in, _ = random_edges("no vectors yet", generator)
    mixing = VectorMixing(Shared(normal(3 * WIDTH, 2 * WIDTH)), normal(2 * WIDTH, WIDTH), normal(4, 10, WIDTH))
    some, atoms = (torch.randint(n, (9,), generator=generator) for n in (6, 4))
    messages = normal(9, width_in)
    expected = mixing.apply(edges.apply(messages, some), atoms)
    torch.testing.assert_close(edges.arrive(messages, some, mixing, atoms), expected)


@given(seed=st.integers(0, 10**6), several=st.booleans())
def test_weights_made_on_demand_are_the_weights_of_those_edges(seed, several):
    generator = torch.Generator().manual_seed(seed)
    radial = torch.randn(6, WIDTH, dtype=torch.float64, generator=generator)
    ends, ones = torch.arange(6), torch.ones(6, dtype=torch.float64)
    features = EdgeFeatures(ends, ends.flip(0), radial, ones, radial)
    made = OnDemand(features, lambda some: ChannelWeights(some.radial * some.envelope[:, None]))
    edges = torch.randint(6, (9,), generator=generator) if several else None
    rows = torch.arange(6) if edges is None else edges
    messages = torch.randn(len(rows), 2, WIDTH, dtype=torch.float64, generator=generator)
    expected = messages * radial[rows][:, None]
    torch.testing.assert_close(made.apply(messages, edges), expected)
    torch.testing.assert_close(made.pull(messages, edges), expected)
    torch.testing.assert_close(made.norms(), ChannelWeights(radial).norms())
