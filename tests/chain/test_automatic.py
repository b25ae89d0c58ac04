"""The automatic chain of architectures that are not ours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from atomlens.chain import PairIndex, automatic_chain, make_rule, merge_images
from atomlens.chain.automatic import StateFunction
from atomlens.interactions import interaction_terms
from atomlens.recording import under_rule
from atomlens.relevance import all_walks
from oracle import keep

F64 = torch.float64
# Atoms 0-1-2 in a chain, 3 on its own.
EDGES = torch.tensor([[0, 1], [1, 0], [1, 2], [2, 1]])
PAIRS: PairIndex = merge_images(EDGES[:, 0], EDGES[:, 1], 4).pairs


class EdgeConv(nn.Module):
    """A layer as a user may write it: modules and functional calls mixed, messages written in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = nn.Sequential(nn.Linear(width, width), nn.SiLU(inplace=True), nn.Linear(width, width))
        self.gate = nn.Linear(width, width)
        self.update = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        sent = torch.zeros(len(EDGES), x.shape[1], dtype=x.dtype)
        sent[:] = self.message(x[EDGES[:, 1]]) * torch.sigmoid(self.gate(x[EDGES[:, 1]]))
        gathered = torch.zeros_like(x).index_add_(0, EDGES[:, 0], sent)
        return x + functional.gelu(self.update(gathered)) * x.norm(dim=1, keepdim=True)


def toy(n_layers: int = 2, width: int = 3) -> tuple[list[EdgeConv], Tensor, StateFunction]:
    layers = [EdgeConv(width).to(F64).requires_grad_(False) for _ in range(n_layers)]
    head = nn.Sequential(nn.Linear(width, 4), nn.Softplus(), nn.Linear(4, 1)).to(F64).requires_grad_(False)
    return layers, torch.randn(4, width, dtype=F64), lambda x: head(x).sum()


def walk_by_mask(layers, x: Tensor, readout, rule, walk: tuple[int, ...]) -> float:
    """One masked pass: the layers as they are, with the rule imposed on the first and each next one in turn."""
    leaf = x.clone().requires_grad_()
    state = leaf
    for layer, atom in zip(layers, walk[1:], strict=True):
        state = under_rule(rule, layer, state)
        state = keep(state, atom)
    value = under_rule(rule, readout, state)
    (gradient,) = torch.autograd.grad(value, leaf)
    return float((gradient[walk[0]] * x[walk[0]]).sum())


@pytest.mark.parametrize("rule", ["gate", "gamma", "gradient"])
@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_any_architecture_is_conserved(rule, n_layers):
    layers, x, readout = toy(n_layers)
    chain = automatic_chain(layers, x, readout, PAIRS, make_rule(rule), constant=2.5)
    state = x
    for layer in layers:
        state = layer(state)
    assert chain.prediction == pytest.approx(2.5 + float(readout(state)), rel=1e-12)
    assert chain.constant + chain.sum_of_walks() == pytest.approx(chain.prediction, rel=1e-12)
    terms = interaction_terms(chain, 3)
    total = sum(terms.order(n).relevance.sum() for n in (1, 2, 3)) + terms.remainder
    assert chain.constant + total == pytest.approx(chain.prediction, rel=1e-12)


@pytest.mark.parametrize("rule", ["gate", "gamma", "gradient"])
def test_walks_are_those_of_masked_passes(rule):
    layers, x, readout = toy(2)
    held = make_rule(rule)
    walks = all_walks(automatic_chain(layers, x, readout, PAIRS, held))
    near = {(0, 1), (1, 0), (1, 2), (2, 1)} | {(i, i) for i in range(4)}
    expected = {(a, b, c) for a, b in near for other, c in near if b == other}
    assert set(map(tuple, walks.atoms.tolist())) == expected
    scale = abs(walks.relevance).max()
    for walk, relevance in zip(walks.atoms.tolist(), walks.relevance, strict=True):
        assert relevance == pytest.approx(walk_by_mask(layers, x, readout, held, tuple(walk)), abs=1e-10 * scale)


def derivative(function: StateFunction, x: Tensor, rule: str = "gate", gamma: float = 0.25) -> Tensor:
    """Relevance map of a function under a rule, applied to its own input."""
    leaf = x.clone().requires_grad_()
    y = under_rule(make_rule(rule, gamma), function, leaf)
    torch.testing.assert_close(y.detach(), function(x))
    jacobian = torch.stack([torch.autograd.grad(part, leaf, retain_graph=True)[0] for part in y.flatten()])
    return (jacobian * x).flatten(1).sum(1).reshape(y.shape)


X = torch.tensor([[0.7, -1.2, 0.4], [-0.3, 0.9, 2.0]], dtype=F64)
W = torch.tensor([[0.5, -0.2, 0.1], [1.5, 0.3, -0.7], [0.2, 0.2, 0.9]], dtype=F64)


@pytest.mark.parametrize(
    "function",
    [
        functional.silu,
        torch.tanh,
        lambda x: nn.SiLU(inplace=True)(x + 0.0),
        lambda x: nn.ReLU(inplace=True)(x * 1.0),
        lambda x: nn.ELU(inplace=True)(x * 1.0),
        lambda x: x * x,
        lambda x: x**2,
        lambda x: torch.pow(x, 3),
        lambda x: x.square(),
        lambda x: (x * x).sqrt(),
        lambda x: (x**2).sum(1).sqrt(),
        lambda x: x.norm(dim=1),
        lambda x: x.norm(2, 1, True),
        lambda x: torch.linalg.vector_norm(x, 2, 1, True),
        lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True),
        lambda x: torch.linalg.vector_norm(x, dim=(0, 1)),
        lambda x: torch.norm(x),
        lambda x: torch.softmax(x, 1) * x,
        lambda x: functional.softmax(x @ W, dim=1).detach() * x,
        lambda x: x.detach() * x,
        lambda x: torch.sigmoid(x).detach() * (x @ W),
        lambda x: nn.Linear(3, 2, bias=False).to(F64)(x) * 0 + x[:, :2],
    ],
)
def test_homogeneous_functions_keep_all_their_relevance(function):
    # act(y)/y held, half of a product each, directions of norms held, softmax and detached factors held:
    # nothing of the value is left over.
    torch.testing.assert_close(derivative(function, X), function(X))


def test_written_in_place_a_signal_stays_one():
    def function(x: Tensor) -> Tensor:
        room = torch.zeros(2, 3, dtype=F64)
        room[:, 1:] = x[:, 1:]
        return functional.silu(room)

    torch.testing.assert_close(derivative(function, X), function(X))


def test_roots_of_zero_have_no_direction():
    assert derivative(lambda x: (x * x).sum(1).sqrt(), torch.zeros(2, 3, dtype=F64)).tolist() == [0.0, 0.0]
    assert derivative(lambda x: torch.linalg.vector_norm(x, dim=1), torch.zeros(2, 3, dtype=F64)).tolist() == [0.0, 0.0]


def test_gamma_reaches_linear_layers_of_torch_alone():
    layer = nn.Linear(3, 3).to(F64).requires_grad_(False)
    assert not torch.allclose(derivative(layer, X, "gamma", 0.5), derivative(layer, X, "gate"))
    plain = lambda x: x @ W  # noqa: E731
    torch.testing.assert_close(derivative(plain, X, "gamma", 0.5), plain(X))


def test_the_gradient_rule_is_the_derivative():
    x = X.clone().requires_grad_()
    (expected,) = torch.autograd.grad(functional.silu(x).sum(), x)
    torch.testing.assert_close(derivative(functional.silu, X, "gradient"), expected * X)


def test_layers_that_reach_farther_than_the_pairs_are_refused():
    def everyone(x: Tensor) -> Tensor:
        return x + x.mean(dim=0)

    x = torch.randn(4, 3, dtype=F64)
    with pytest.raises(ValueError, match=r"layer 1 carries state from atom \d to atom \d, which are not a pair"):
        automatic_chain([torch.tanh, everyone], x, torch.sum, PAIRS, make_rule("gate"))


def test_modules_are_run_as_they_are():
    layers, x, readout = toy(1)
    before = {name: value.clone() for name, value in layers[0].state_dict().items()}
    forward = layers[0].forward
    layers[0].requires_grad_(True)
    automatic_chain(layers, x, readout, PAIRS, make_rule("gamma"))
    assert layers[0].forward == forward
    assert all(p.grad is None for p in layers[0].parameters())
    for name, value in layers[0].state_dict().items():
        assert torch.equal(value, before[name])
    # Afterwards torch is itself again.
    y = torch.ones(2, dtype=F64, requires_grad=True)
    (slope,) = torch.autograd.grad((y * y).sum(), y)
    assert slope.tolist() == [2.0, 2.0]


def test_widths_may_change_from_layer_to_layer():
    wide = nn.Linear(3, 5).to(F64).requires_grad_(False)
    x = torch.randn(4, 3, dtype=F64)
    chain = automatic_chain([lambda s: functional.silu(wide(s))], x, torch.sum, PAIRS, make_rule("gate"))
    assert chain.readout.shape == (4, 5)
    assert chain.constant + chain.sum_of_walks() == pytest.approx(chain.prediction, rel=1e-12)
