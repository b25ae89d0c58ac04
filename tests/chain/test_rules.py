"""Rules against their formulas, and what they do at the edge of floating point."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atomlens.chain import Gamma, Gate, Gradient, make_rule
from atomlens.models.activations import ACTIVATIONS

F64 = torch.float64


def ratio(name: str, y: float) -> float:
    """(act(y) - act(0)) / y without cancellation, by the series or the exact identity of each function."""
    match name:
        case "silu":
            return 1 / (1 + math.exp(-y))
        case "tanh":
            return math.tanh(y) / y
        case "relu":
            return float(y > 0)
        case "elu":
            return 1.0 if y > 0 else math.expm1(y) / y
        case "gelu":
            return 0.5 * (1 + math.erf(y / math.sqrt(2)))
        case "identity":
            return 1.0
        case "sigmoid":  # σ(y) - 1/2 = tanh(y/2) / 2
            return math.tanh(y / 2) / (2 * y)
        case _:  # ln(1 + e^y) - ln 2 = y/2 + ln cosh(y/2), and cosh(y/2) = 1 + 2 sinh²(y/4)
            return 0.5 + math.log1p(2 * math.sinh(y / 4) ** 2) / y


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-10), (torch.float32, 3e-5)])
def test_gate_is_the_ratio_down_to_the_smallest_inputs(name, dtype, accuracy):
    y = torch.logspace(-30, 1, 400, dtype=F64).to(dtype)
    y = torch.cat([y, -y])
    expected = torch.tensor([ratio(name, v) for v in y.tolist()], dtype=F64)
    torch.testing.assert_close(Gate().gain(ACTIVATIONS[name], y).to(F64), expected, rtol=0, atol=accuracy)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gate_at_zero_is_the_slope(name):
    y = torch.zeros(3, dtype=F64)
    torch.testing.assert_close(Gate().gain(ACTIVATIONS[name], y), Gradient().gain(ACTIVATIONS[name], y))


@pytest.mark.parametrize("rule", [Gate(), Gamma(gamma=0.3), Gradient()])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gain_and_offset_add_up_to_the_activation(rule, name):
    y = torch.linspace(-4, 4, 41, dtype=F64).reshape(1, -1)
    affine = rule.activation(ACTIVATIONS[name], y)
    value = affine.operator.apply(y, torch.zeros(1, dtype=torch.int64)) + affine.bias
    torch.testing.assert_close(value, ACTIVATIONS[name](y), rtol=0, atol=1e-14)


def by_hand(weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor, gamma: float) -> tuple[torch.Tensor, ...]:
    """LRP-γ of one input row, entry by entry as the docstring of `Gamma` writes it."""
    n_out, n_in = weight.shape
    matrix, offset = torch.zeros(n_out, n_in, dtype=F64), torch.zeros(n_out, dtype=F64)
    for k in range(n_out):
        z = float(weight[k] @ x + bias[k])
        sign = 1.0 if z > 0 else -1.0
        row = [float(weight[k, j]) * (1 + gamma * (sign * float(weight[k, j] * x[j]) > 0)) for j in range(n_in)]
        own = float(bias[k]) * (1 + gamma * (sign * float(bias[k]) > 0))
        p = sum(w * float(x[j]) for j, w in enumerate(row)) + own
        matrix[k] = torch.tensor(row, dtype=F64) * z / p
        offset[k] = own * z / p
    return matrix, offset


@given(seed=st.integers(0, 10_000), gamma=st.floats(0, 10))
def test_gamma_is_its_formula(seed, gamma):
    generator = torch.Generator().manual_seed(seed)
    weight, bias, x = (torch.randn(*s, generator=generator, dtype=F64) for s in ((3, 4), (3,), (2, 4)))
    affine = Gamma(gamma=gamma).linear(weight, bias, x)
    atoms, unit = torch.arange(2), torch.eye(4, dtype=F64)
    columns = affine.operator.apply(unit[None].expand(2, -1, -1).contiguous(), atoms)  # (2, 4, 3)
    rows = affine.operator.pull(torch.eye(3, dtype=F64)[None].expand(2, -1, -1).contiguous(), atoms)
    for i in range(2):
        matrix, offset = by_hand(weight, bias, x[i], gamma)
        size = float(matrix.abs().max())
        torch.testing.assert_close(columns[i].T, matrix, rtol=0, atol=1e-12 * size)
        torch.testing.assert_close(rows[i], matrix, rtol=0, atol=1e-12 * size)
        torch.testing.assert_close(affine.bias[i], offset, rtol=0, atol=1e-12 * size)
    torch.testing.assert_close(affine.operator.apply(x, atoms) + affine.bias, x @ weight.T + bias)


def test_gamma_with_outputs_of_exactly_zero():
    weight, bias, x = torch.tensor([[1.0, -1.0]], dtype=F64), torch.zeros(1, dtype=F64), torch.ones(1, 2, dtype=F64)
    affine = Gamma(gamma=0.5).linear(weight, bias, x)
    assert affine.operator.apply(x, torch.zeros(1, dtype=torch.int64)).tolist() == [[0.0]]
    assert affine.bias.tolist() == [[0.0]]


def test_gamma_zero_is_the_plain_layer():
    weight, bias, x = torch.randn(3, 4, dtype=F64), torch.randn(3, dtype=F64), torch.randn(2, 4, dtype=F64)
    atoms, probe = torch.arange(2), torch.randn(2, 4, dtype=F64)
    with_gamma, plain = Gamma(gamma=0.0).linear(weight, bias, x), Gate().linear(weight, bias, x)
    torch.testing.assert_close(with_gamma.operator.apply(probe, atoms), plain.operator.apply(probe, atoms))
    torch.testing.assert_close(with_gamma.bias, plain.bias)


def test_rules_by_name():
    assert make_rule("gate") == Gate()
    assert make_rule("gamma", 0.1) == Gamma(gamma=0.1)
    assert make_rule("gradient") == Gradient()
    with pytest.raises(ValueError, match="'lrp' is not known; choose gate, gamma, gradient or published"):
        make_rule("lrp")
    for gamma in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match="gamma is"):
            make_rule("gamma", gamma)
