r"""Three checks that a linear program of a model is what it claims to be.

- **S**, shuffled copies: two copies of the structure, their rows mixed, executed as one; each must give y.
- **A**, additivity: L(a + b) = L(a) + L(b) for random signals. Finds an operator that is not linear.
- **C**, conservation: Z(all atoms) = y - c.

Conservation alone proves little, since biases are what the linear parts leave over. A wrong map of rows fails S.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from atomlens.recording.layers import Layers
from atomlens.recording.sets import RowFinder
from atomlens.recording.union import Union
from atomlens.structures import InputError


class Checks(NamedTuple):
    """Largest relative error of every check."""

    shuffled: float
    additivity: float
    conservation: float


def check_layers(layers: Layers, tolerance: float | None = None) -> Checks:
    """Check a recorded structure under a rule.

    Parameters
    ----------
    tolerance
        Allowed relative error; by default 1e-12 in float64, and as many digits less in float32.

    Raises
    ------
    InputError
        If a check fails, with its figure.
    """
    if tolerance is None:
        tolerance = 1e-12 * torch.finfo(layers.trace.value.dtype).eps / torch.finfo(torch.float64).eps
    checks = Checks(_shuffled(layers), _additivity(layers), _conservation(layers))
    for name, error in checks._asdict().items():
        if not error <= tolerance:
            raise InputError(
                f"this model's linear program fails the check of {name}: relative error {error:.1e}, allowed "
                f"{tolerance:.0e}; its explanation would be wrong"
            )
    return checks


def _size(layers: Layers) -> float:
    """What errors of the prediction are relative to."""
    parts = sum(float((w * layers.state(layers.n_layers)[n]).abs().sum()) for n, w in layers.readout.items())
    return max(1.0, abs(layers.prediction - layers.constant), parts)


def _shuffled(layers: Layers) -> float:
    n = layers.inputs.n_atoms
    generator = torch.Generator().manual_seed(0)
    atoms = torch.arange(n, device=layers.inputs.source.device)
    found = RowFinder(layers.inputs).find(atoms.repeat(2), torch.tensor([n, n], device=atoms.device))
    values = Union(layers).plain(found.shuffled(generator), 2)
    return float((values + layers.constant - layers.prediction).abs().max()) / _size(layers)


def _additivity(layers: Layers) -> float:
    generator = torch.Generator().manual_seed(1)
    worst = 0.0
    with torch.no_grad():
        for t in range(layers.n_layers):
            a, b = (
                {
                    n: torch.randn(v.shape, generator=generator, dtype=v.dtype).to(device=v.device) * v.std()
                    for n, v in layers.state(t).items()
                }
                for _ in range(2)
            )
            both = layers.step(t, {n: a[n] + b[n] for n in a})
            first, second = layers.step(t, a), layers.step(t, b)
            for n, value in both.items():
                size = max(float(value.abs().max()), float(first[n].abs().max()), 1e-300)
                worst = max(worst, float((value - first[n] - second[n]).abs().max()) / size)
    return worst


def _conservation(layers: Layers) -> float:
    n = layers.inputs.n_atoms
    atoms = torch.arange(n, device=layers.inputs.source.device)
    (value,) = Union(layers).sums(atoms, torch.tensor([n], device=atoms.device)).tolist()
    return abs(value + layers.constant - layers.prediction) / _size(layers)
