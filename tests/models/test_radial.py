"""Inverse powers and smooth switching: filters that fall by a power up to the cutoff."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_long_range import pair_at

import atomlens
from atomlens.models import CutoffConfig, ModelConfig, RadialConfig
from atomlens.models.features import edge_features
from atomlens.models.radial import make_basis, make_cutoff
from samples import branched, small_model

CUTOFF, ONSET = 60.0, 50.0


def power_model(architecture: str, length: float = 1.5, n_rbf: int = 6) -> atomlens.Potential:
    return small_model(
        architecture,
        radial=RadialConfig("inverse_powers", n_rbf=n_rbf, cutoff=CUTOFF, length=length),
        envelope=CutoffConfig("polynomial", CUTOFF, ONSET),
    )


def filters(model: atomlens.Potential, distance: float) -> torch.Tensor:
    """Filters of the first layer at one distance."""
    representation = model.representation
    edges = edge_features(model.graph(pair_at("OF", distance)), representation.basis, representation.cutoff)
    if isinstance(representation, atomlens.models.SchNet):
        return representation.layers[0].filters(edges)[0]
    return representation.filters(0, edges)[0]


@given(distance=st.floats(0.0, 50.0), length=st.floats(0.3, 5.0))
def test_functions_of_the_basis_are_powers(distance, length):
    basis = make_basis(RadialConfig("inverse_powers", n_rbf=8, length=length)).double()
    (found,) = basis(torch.tensor([distance], dtype=torch.float64))
    x = float(np.float32(length)) / math.hypot(float(np.float32(length)), distance)
    np.testing.assert_allclose(found.numpy(), [x**n for n in range(1, 9)], rtol=1e-10)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_filters_fall_as_the_slowest_power_below_the_onset(architecture):
    model = power_model(architecture, length=0.1)
    near, far = filters(model, 24.0), filters(model, 48.0)
    slopes = torch.log(far / near) / math.log(2.0)
    np.testing.assert_allclose(slopes.numpy(), -1.0, atol=0.1)


def test_filters_fall_as_whatever_power_they_are_made_of():
    model = power_model("painn", length=0.1)
    net = model.representation.filter_net
    for n in range(1, 7):
        net.weight.zero_()
        net.weight[:, n - 1] = 1.0
        slope = torch.log(filters(model, 40.0) / filters(model, 20.0)) / math.log(2.0)
        np.testing.assert_allclose(slope.numpy(), -n, atol=1e-3)


def test_the_switch_leaves_the_inside_alone_and_ends_smoothly():
    switch = make_cutoff(CutoffConfig("polynomial", 5.0, 3.0)).double()
    r = torch.tensor([0.5, 2.9999, 3.0, 4.0, 5.0, 6.0], dtype=torch.float64)
    np.testing.assert_allclose(switch(r).numpy(), [1.0, 1.0, 1.0, 0.5, 0.0, 0.0], atol=1e-12)
    inside = torch.linspace(3.0, 5.0, 41, dtype=torch.float64)
    assert (switch(inside).diff() < 0).all()
    for end in (3.0, 5.0):
        for side in (-1e-4, 1e-4):
            x = torch.tensor([end + side], dtype=torch.float64, requires_grad=True)
            (first,) = torch.autograd.grad(switch(x).sum(), x, create_graph=True)
            assert abs(first.item()) < 1e-6
            if first.requires_grad and first.grad_fn is not None:
                (second,) = torch.autograd.grad(first.sum(), x)
                assert abs(float(second)) < 1e-2


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_models_of_inverse_powers_are_saved_explained_and_learn_no_constant(tmp_path, architecture):
    model = power_model(architecture)
    assert not any("filter" in name and name.endswith("bias") for name, _ in model.named_parameters())
    atomlens.save_model(model, tmp_path / "m.safetensors")
    back = atomlens.load_model(tmp_path / "m.safetensors")
    assert back.predict(branched()).energy == model.predict(branched()).energy
    ex = atomlens.explain(model, branched())
    assert abs(ex.residual) < 1e-10 * max(1.0, abs(ex.prediction))
    graph = model.graph(branched())
    positions = graph.positions.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(atomlens.AtomGraph(**{**vars(graph), "positions": x})), positions)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"radial": {"kind": "inverse_power"}},
            r"radial.kind' is 'inverse_power'; did you mean 'inverse_powers'",
        ),
        ({"radial": {"kind": "inverse_powers", "length": 0.0}}, "length of the radial basis is 0.0 Å"),
        ({"cutoff": {"kind": "polynom"}}, r"did you mean 'polynomial'\?"),
        ({"cutoff": {"kind": "polynomial", "onset": 5.0}}, "below the cutoff of 5.0 Å"),
        ({"cutoff": {"onset": 2.0}}, "needs the polynomial cutoff function"),
        (
            {"architecture": "schnet", "activation": "softplus", "radial": {"kind": "inverse_powers"}},
            "would not fall off",
        ),
    ],
)
def test_wrong_options_are_named(part: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict({"representation": part})
