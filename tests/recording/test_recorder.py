"""What models do with tensors besides computing: other memory, numbers for Python, sparse constants, no edges."""

from __future__ import annotations

import ase
import pytest
import torch
from test_union import F64, WEIGHTS, Toy
from torch import Tensor
from torch.nn import functional

import atomlens
from atomlens.chain import make_rule
from atomlens.recording import Recording, open_model
from atomlens.recording.interfaces import RecordedRows
from atomlens.recording.linear import LinearMap
from atomlens.recording.recorder import trace_call
from atomlens.relevance import AtomSets, restricted_sums
from atomlens.structures import InputError
from samples import branched

SIGNAL = torch.linspace(-1.0, 1.5, 12, dtype=F64).reshape(3, 4)


def gradient(function, x: Tensor = SIGNAL) -> Tensor:
    """Derivative of a recorded function."""
    x = x.clone()
    trace = trace_call(lambda: function(x), signals=[x])
    leaf = x.clone().requires_grad_()
    (image,) = LinearMap(trace, make_rule("gradient")).run({0: leaf}, [trace.result], RecordedRows(trace))
    return torch.autograd.grad(image, leaf)[0]


def test_a_tensor_that_was_given_other_memory_is_refused():
    def replaced(x: Tensor) -> Tensor:
        y = 2.0 * x
        y.data = x * x
        return (y * y).sum()

    with pytest.raises(InputError, match=r"given other memory after it was computed"):
        gradient(replaced)


def test_numbers_that_python_reads_are_frozen():
    torch.testing.assert_close(
        gradient(lambda x: (x * float(x.sum())).sum() if bool((x < 9).all()) else x.sum()),
        torch.full_like(SIGNAL, float(SIGNAL.sum())),
    )


def test_sparse_constants_need_no_storage_and_sparse_states_are_refused():
    def degrees(x: Tensor) -> Tensor:
        return (torch.eye(3, dtype=F64).to_sparse().to_dense() @ x).sum()

    torch.testing.assert_close(gradient(degrees), torch.ones_like(SIGNAL))
    with pytest.raises(InputError, match="sparse"):
        gradient(lambda x: torch.sparse.mm(torch.eye(3, dtype=F64).to_sparse(), x).sum())
    with pytest.raises(InputError, match="sparse"):
        gradient(lambda x: x.to_sparse().to_dense().sum())


def test_states_that_choose_what_is_written_are_refused():
    def written(x: Tensor) -> Tensor:
        y = 2.0 * x
        y[y > 0] = 0.5
        return y.sum()

    with pytest.raises(InputError, match="chooses rows or channels by values of atom states"):
        gradient(written)


def with_signal_as_bias(toy: Toy, s: Tensor, t: Tensor, d: Tensor) -> Tensor:
    return functional.linear(s, WEIGHTS[0], s.sum(dim=0)) * d


def test_a_bias_that_is_a_signal_is_kept_for_the_rule_gamma():
    toy, atoms = Toy(with_signal_as_bias), branched()
    opened = open_model(toy, atoms.numbers.tolist())
    sets, rule = AtomSets.of([[0], [0, 1, 2]]), make_rule("gamma")
    found, whole = (
        restricted_sums(atomlens.chain.recorded_sums(recording, rule), sets)
        for recording in (opened.record(atoms), Recording(opened, *opened.trace(atoms)))
    )
    assert found.tolist() == whole.tolist()


def contracted(toy: Toy, s: Tensor, t: Tensor, d: Tensor) -> Tensor:
    outer = torch.einsum("ec,ek->eck", s, torch.cat([d, d * d], dim=1))
    return torch.tensordot(outer, WEIGHTS[:, :2], dims=([1, 2], [0, 1]))


def test_contractions_are_the_same_without_edges():
    ex = atomlens.explain_module(Toy(contracted), ase.Atoms("O"))
    assert ex.interactions(1).order(1).relevance.sum() + ex.constant == pytest.approx(ex.prediction, rel=1e-12)


def test_the_derivative_of_a_norm_at_zero_is_zero():
    found = gradient(lambda x: (x - x).norm(dim=1).sum() + x.sum())
    torch.testing.assert_close(found, torch.ones_like(SIGNAL))
