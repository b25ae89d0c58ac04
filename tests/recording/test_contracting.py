"""Constants that meet a signal one after the other are made one, and what a recording says stays the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from atomlens.recording.contracting import contract_constants
from atomlens.recording.recorder import trace_call
from atomlens.recording.trace import Const, Ref, Trace

HARMONICS = torch.randn(7, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
COEFFICIENTS = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def recorded(equation: str, factors, dims=((3, 4), (0, 1)), coefficients=COEFFICIENTS) -> Trace:
    """A signal of 6 channels of 3 components on 7 rows; `factors` says what it meets, and in which order."""
    embedding = nn.Embedding(7, 18, dtype=torch.float64)
    with torch.no_grad():

        def call() -> torch.Tensor:
            x = embedding(torch.arange(7)).reshape(7, 6, 3)
            product = torch.einsum(equation, *factors(x))
            return torch.tensordot(product, coefficients, dims=dims).square().sum() + product.sum()

        return trace_call(call, modules=[embedding])


def contractions(trace: Trace) -> list[int]:
    return [k for k, node in enumerate(trace.nodes) if node.value.shape == (7, 6, 1, 4)]


@pytest.mark.parametrize(
    ("equation", "factors"),
    [("edb,eca->ecdab", lambda x: (HARMONICS, x)), ("eca,edb->ecdab", lambda x: (x, HARMONICS))],
    ids=["constant first", "signal first"],
)
def test_the_signal_is_read_itself_and_gives_what_was_recorded(equation, factors):
    trace = recorded(equation, factors)
    number = contractions(trace)[0]
    (outer,) = trace.nodes[number].parents()
    (signal,) = trace.nodes[outer].parents()
    contract_constants(trace)
    node = trace.nodes[number]
    assert node.parents() == [signal]
    (constant,) = (a for a in node.args[1] if isinstance(a, Const))
    values = {Ref(signal): trace.nodes[signal].value, constant: trace.constants[constant.number]}
    torch.testing.assert_close(node.op(node.args[0], [values[a] for a in node.args[1]]), node.value, rtol=1e-13, atol=0)
    assert not trace.nodes[outer].value.is_meta  # its sum is read


def test_what_nobody_reads_any_more_takes_no_memory():
    embedding = nn.Embedding(7, 18, dtype=torch.float64)

    def call() -> torch.Tensor:
        product = torch.einsum("edb,eca->ecdab", HARMONICS, embedding(torch.arange(7)).reshape(7, 6, 3))
        return torch.tensordot(product, COEFFICIENTS, dims=((3, 4), (0, 1))).square().sum()

    with torch.no_grad():
        trace = trace_call(call, modules=[embedding])
    (outer,) = trace.nodes[contractions(trace)[0]].parents()
    contract_constants(trace)
    assert [k for k, node in enumerate(trace.nodes) if node.value.is_meta] == [outer]
    assert trace.nodes[outer].value.shape == (7, 6, 1, 3, 5)


def test_a_product_of_two_signals_stays():
    trace = recorded(
        "edb,eca->ecdab", lambda x: (x[:, :1], x), coefficients=torch.eye(12, dtype=torch.float64)[:9].reshape(3, 3, 12)
    )
    before = list(trace.nodes)
    contract_constants(trace)
    assert trace.nodes == before


def test_what_would_be_larger_stays():
    many = torch.ones(3, 5, 50, dtype=torch.float64)
    trace = recorded("edb,eca->ecdab", lambda x: (HARMONICS, x), coefficients=many)
    before = list(trace.nodes)
    contract_constants(trace)
    assert trace.nodes == before
