"""Numbers of a model, of its settings and of its results that cannot be."""

from __future__ import annotations

import math
from dataclasses import replace

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atomlens import InputError, explain
from atomlens.models import ModelConfig, implausible, impossible, named_tensors
from atomlens.models.plausibility import free_atom_energies
from atomlens.tables import explained_frame
from samples import small_model

ETHANOL = ase.build.molecule("CH3CH2OH")
# Total energies of neutral atoms in Hartree, NIST (sums of ionisation energies for light ones, LDA tables for others).
MEASURED = {1: -0.5, 2: -2.9034, 6: -37.845, 8: -75.067, 10: -128.94, 18: -527.5, 36: -2752.1, 54: -7232.1}


@pytest.mark.parametrize(("z", "hartree"), MEASURED.items())
def test_energies_of_free_atoms_are_near_measured_ones(z: int, hartree: float) -> None:
    (found,) = free_atom_energies(np.array([z])) / 27.211386
    assert found == pytest.approx(hartree, rel=0.11)


# Ethanol: all electrons, wB97X, in eV; the same in kcal/mol and kJ/mol, read as eV.
@pytest.mark.parametrize(("factor", "suspicious"), [(1.0, False), (23.06, True), (96.49, True), (1 / 27.21, False)])
def test_another_unit_is_noticed(factor: float, suspicious: bool) -> None:
    assert bool(implausible(-4209.9 * factor, ETHANOL.numbers, "eV", extensive=True)) is suspicious


@pytest.mark.parametrize("energy", [-33.4, 33.4, -310.0, 0.0, -0.2])  # atomisation, its negative, GFN2, forces only
def test_other_conventions_are_not_suspicious(energy: float) -> None:
    assert implausible(energy, ETHANOL.numbers, "eV", extensive=True) == ""


def test_orbital_energies_have_a_range_of_their_own() -> None:
    assert implausible(-6.5, ETHANOL.numbers, "eV", extensive=False) == ""
    assert "orbital" in implausible(-6500.0, ETHANOL.numbers, "eV", extensive=False)
    assert implausible(1e9, ETHANOL.numbers, "D", extensive=True) == ""


@given(y=st.floats(), n=st.integers(1, 1000), residual=st.floats())
def test_what_is_let_through_is_a_number_of_this_world(y: float, n: int, residual: float) -> None:
    if impossible(y, n, "eV", residual, abs(y), "float64") == "":
        assert math.isfinite(y)
        assert abs(y) <= 1e6 * n
        assert abs(residual) <= 1e-8 * max(1.0, abs(y))


CANNOT_BE = r"beyond 1e\+06 eV per atom|not all finite"


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e9])
def test_a_result_that_cannot_be_is_refused_everywhere(value: float) -> None:
    model = small_model("painn")
    model.mean.fill_(value)
    with pytest.raises(InputError, match=CANNOT_BE):
        model.predict(ETHANOL)
    with pytest.raises(InputError, match=CANNOT_BE):
        explained_frame(explain(model, ETHANOL))


def test_a_residual_beyond_rounding_is_refused() -> None:
    explanation = explain(small_model("schnet"), ETHANOL)
    explanation.sums = replace(explanation.chain, prediction=explanation.chain.prediction + 1e-3)
    with pytest.raises(InputError, match=r"miss the prediction by 0\.001 eV, far beyond rounding"):
        explained_frame(explanation)


def test_a_suspicious_energy_is_shown_with_its_frame() -> None:
    model = small_model("painn")
    model.mean.fill_(-10_787.0)
    (warning,) = explained_frame(explain(model, ETHANOL)).warnings
    assert "check the model's unit" in warning


HUGE = [10**400, 1e400, -(10**400), math.nan, 10**6, 9_000_000, 200_000, 10**30, -1, True, "x" * 100_000, [1] * 100_000]


@given(
    place=st.sampled_from([
        ("representation", "n_layers"), ("representation", "n_features"), ("representation", "max_z"),
        ("representation", "epsilon"), ("representation", "radial", "n_rbf"), ("representation", "radial", "cutoff"),
        ("representation", "cutoff", "cutoff"), ("readout", "widths"), ("output", "unit"), ("output", "property"),
        ("elements",), ("long_range", "width"), ("representation", "n_filters"), ("representation", "radial", "start"),
    ]),
    value=st.sampled_from([*HUGE, [10**400, 1], [1] * 200_000, "\x1b[31m", {}, None]),
)  # fmt: skip
def test_forged_settings_are_refused_in_one_short_line(place: tuple[str, ...], value: object) -> None:
    data = ModelConfig().to_dict()
    table = data
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    try:
        config = ModelConfig.from_dict(data)
    except ValueError as error:
        message = str(error)
    else:
        message = ""
        assert 0 < config.representation.n_layers <= 1000
        assert max(config.readout.widths) <= 16_384
        assert len(config.readout.widths) <= 1000
        assert math.isfinite(config.representation.cutoff.cutoff + config.representation.radial.cutoff)
        assert config.output.unit.isprintable()
    assert len(message) < 600


def test_no_tensor_may_hold_what_is_no_number() -> None:
    model = small_model("painn")
    for name, tensor in named_tensors(model).items():
        if tensor.numel() and name not in ("scale", "mean"):
            assert torch.isfinite(tensor).all()
