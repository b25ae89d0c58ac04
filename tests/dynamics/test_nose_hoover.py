"""Nosé-Hoover chains: what they conserve, that replicas are apart, and that the ensemble is canonical."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
import torch

from atomlens import load_model

pytest.importorskip("torch_sim", exc_type=ImportError)
import torch_sim as ts
from ase import units
from torch_sim.models.interface import ModelInterface
from torch_sim.units import MetalUnits

from atomlens.dynamics.nose_hoover import NoseHooverState, conserved_energy, nose_hoover
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.replicas import Replicas, thermal_momenta
from atomlens.dynamics.simulation import simulate
from atomlens.dynamics.torchsim import TorchSimModel

ETHANOL = ase.build.molecule("CH3CH2OH")
MODEL = load_model("zoo:rmd17-ethanol-painn", dtype=torch.float64)
# Replicas of springs: so many that their mean kinetic energy is known to 1 %.
N = 200
OPTIONS = MDOptions("nose-hoover", 500.0, 0.5, 40, 3, 2, seed=2)


class Springs(ModelInterface):
    """Every atom on a spring of its own: a system whose canonical averages are known."""

    def __init__(self) -> None:
        super().__init__()
        self._device, self._dtype, self._compute_forces = torch.device("cpu"), torch.float64, True

    def forward(self, state: ts.SimState) -> dict[str, torch.Tensor]:
        per_atom = 10.0 * state.positions.square().sum(1)
        energy = torch.zeros(state.n_systems, dtype=state.dtype).index_add_(0, state.system_idx, per_atom)
        return {"energy": energy, "forces": -20.0 * state.positions}


def drift(step: float) -> float:
    """Largest change of what is conserved over 20 fs, in eV."""
    dt = torch.tensor(step * 1e-3 * float(MetalUnits.time), dtype=torch.float64)
    kT = torch.tensor(500 * units.kB, dtype=torch.float64)
    start, advance = nose_hoover(TorchSimModel(MODEL), dt=dt, kT=kT)
    state = ts.initialize_state([ETHANOL] * 2, torch.device("cpu"), torch.float64)
    momenta = [thermal_momenta(ETHANOL, replace(OPTIONS, temperature=900.0), k) for k in range(2)]
    vars(state)["momenta"] = torch.as_tensor(np.concatenate(momenta))
    moving = start(state)
    values = []
    for _ in range(round(20 / step)):
        moving = advance(moving)
        values.append(conserved_energy(moving, kT))
    assert float(moving.chain_velocities.abs().max()) > 0
    return float((torch.stack(values) - values[0]).abs().max())


@pytest.mark.slow
def test_the_extended_energy_is_conserved_to_second_order() -> None:
    coarse, fine = drift(0.5), drift(0.25)
    assert coarse < 0.02
    assert 2.8 < coarse / fine < 5.6  # 4 for an error of second order, 2 of first, 8 of third


@pytest.mark.slow
def test_replicas_do_not_know_of_each_other() -> None:
    together = Replicas(MODEL, ETHANOL, OPTIONS)
    together.advance(20)
    moved = together.snapshot()
    for k in range(3):
        alone = Replicas(MODEL, ETHANOL, OPTIONS)
        alone.keep(np.array([k]))
        alone.advance(20)
        np.testing.assert_allclose(alone.snapshot().positions[0], moved.positions[k], atol=1e-9)
        assert isinstance(alone.state, NoseHooverState)
        np.testing.assert_allclose(
            alone.state.chain_velocities[0].numpy(), together.state.chain_velocities[k].numpy(), atol=1e-9
        )


@pytest.mark.slow
def test_the_ensemble_is_canonical() -> None:
    """Mean and variance of the kinetic energy, and the equipartition of springs, over replicas and time."""
    atoms = ase.Atoms("C4", positions=0.05 * np.random.default_rng(0).standard_normal((4, 3)))
    dt = torch.tensor(2.5e-3 * float(MetalUnits.time), dtype=torch.float64)
    kT = torch.tensor(300 * units.kB, dtype=torch.float64)
    start, advance = nose_hoover(Springs(), dt=dt, kT=kT)
    state = ts.initialize_state([atoms] * N, torch.device("cpu"), torch.float64)
    hot = replace(OPTIONS, temperature=450.0)
    vars(state)["momenta"] = torch.as_tensor(np.concatenate([thermal_momenta(atoms, hot, k) for k in range(N)]))
    # The springs hold the centre of mass, too; it starts at rest in the origin and stays there.
    state.positions -= state.positions.reshape(N, 4, 3).mean(1).repeat_interleave(4, 0)
    moving, kinetic = start(state), []
    for k in range(1600):
        moving = advance(moving)
        if k > 400 and k % 10 == 0:
            kinetic.append(0.5 * (moving.momenta.square() / moving.masses[:, None]).reshape(N, -1).sum(1).numpy())
    found = np.array(kinetic) / float(kT)
    assert found.mean() == pytest.approx(9 / 2, rel=0.03)
    assert found.var() == pytest.approx(9 / 2, rel=0.15)


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(frame: int, total: int, running: int, speed: float) -> None:
        if frame == 12:
            raise Killed

    whole = simulate(MODEL, ETHANOL, tmp_path / "whole", OPTIONS)
    with pytest.raises(Killed):
        simulate(MODEL, ETHANOL, tmp_path / "parts", OPTIONS, report=kill)
    parts = simulate(MODEL, ETHANOL, tmp_path / "parts", OPTIONS)
    for replica in range(3):
        np.testing.assert_array_equal(parts.frames(replica)[1], whole.frames(replica)[1])
