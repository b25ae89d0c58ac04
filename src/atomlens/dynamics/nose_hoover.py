r"""Nosé-Hoover chains, one for every replica of a batch.

.. math::
    \dot p_i = F_i - v_1 p_i, \qquad
    Q_1 \dot v_1 = \sum_i \frac{p_i^2}{m_i} - d\,k_B T - Q_1 v_1 v_2, \qquad
    Q_m \dot v_m = Q_{m-1} v_{m-1}^2 - k_B T - Q_m v_m v_{m+1}

with d = 3 N - 3 degrees of freedom (the centre of mass rests), :math:`Q_1 = d\,k_B T \tau^2` and
:math:`Q_m = k_B T \tau^2`; integrated as by Martyna, Tuckerman, Tobias and Klein (doi:10.1080/00268979600100761): half
a step of the chain, in Suzuki-Yoshida parts, around a step of velocity Verlet. torch-sim's own thermostat is one chain
for all systems of a batch, which couples replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch_sim.integrators.md import MDState, velocity_verlet
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState
from torch_sim.units import MetalUnits

CHAIN_LENGTH = 3
# Relaxation time of the thermostat: 50 fs, in torch-sim's unit.
RELAXATION = 0.05 * float(MetalUnits.time)
# Parts of a half step: so many, each cut by the weights of Suzuki and Yoshida, which add up to 1.
_PARTS = 3
_W = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
_WEIGHTS = (_W, 1.0 - 2.0 * _W, _W)


@dataclass(kw_only=True)
class NoseHooverState(MDState):
    """Replicas with a chain each.

    Attributes
    ----------
    chain_positions, chain_velocities
        Of the thermostats, shape (R, 3); velocities in inverse time of torch-sim's units.
    """

    chain_positions: Tensor
    chain_velocities: Tensor

    _system_attributes = MDState._system_attributes | {"chain_positions", "chain_velocities"}


def nose_hoover(
    model: ModelInterface, *, dt: Tensor, kT: Tensor
) -> tuple[Callable[..., NoseHooverState], Callable[[NoseHooverState], NoseHooverState]]:
    """Start and step of the dynamics, as torch-sim's integrators give them.

    Parameters
    ----------
    model
        Energies and forces of a batch.
    dt, kT
        Time step and thermal energy, in torch-sim's units.
    """

    def start(state: SimState, **_: Any) -> NoseHooverState:
        found = model(state)
        n = int(state.n_systems)
        still = torch.zeros(n, CHAIN_LENGTH, dtype=state.positions.dtype, device=state.positions.device)
        common = {name: getattr(state, name) for name in ("positions", "masses", "cell", "pbc", "atomic_numbers")}
        return NoseHooverState(
            **common,
            system_idx=state.system_idx,
            momenta=vars(state)["momenta"],
            energy=found["energy"],
            forces=found["forces"],
            chain_positions=still,
            chain_velocities=still.clone(),
        )

    def step(state: NoseHooverState) -> NoseHooverState:
        _half_step(state, dt, kT)
        moved = velocity_verlet(state=state, dt=dt, model=model)
        assert isinstance(moved, NoseHooverState)
        _half_step(moved, dt, kT)
        return moved

    return start, step


def conserved_energy(state: NoseHooverState, kT: Tensor) -> Float[Tensor, " R"]:
    r"""What a replica conserves, :math:`E + \sum_m Q_m v_m^2 / 2 + d\,k_B T \xi_1 + k_B T \sum_{m>1} \xi_m`, eV."""
    freedom = _freedom(state)
    thermostats = 0.5 * (_masses(freedom, kT) * state.chain_velocities.square()).sum(1)
    heat = kT * (freedom * state.chain_positions[:, 0] + state.chain_positions[:, 1:].sum(1))
    return state.energy + 0.5 * _twice_kinetic(state) + thermostats + heat


def _freedom(state: MDState) -> Float[Tensor, " R"]:
    sizes = torch.bincount(state.system_idx, minlength=int(state.n_systems)).to(state.positions.dtype)
    return torch.where(sizes > 1, 3.0 * sizes - 3.0, 3.0 * sizes)


def _twice_kinetic(state: MDState) -> Float[Tensor, " R"]:
    per_atom = (state.momenta.square() / state.masses[:, None]).sum(1)
    return torch.zeros_like(state.energy, dtype=per_atom.dtype).index_add_(0, state.system_idx, per_atom)


def _masses(freedom: Float[Tensor, " R"], kT: Tensor) -> Float[Tensor, "R M"]:
    plain = torch.ones(len(freedom), CHAIN_LENGTH, dtype=freedom.dtype, device=freedom.device)
    plain[:, 0] = freedom
    return plain * kT * RELAXATION**2


def _half_step(state: NoseHooverState, dt: Tensor, kT: Tensor) -> None:
    """Move the chains, and scale the momenta, by half of `dt`."""
    freedom, twice_kinetic = _freedom(state), _twice_kinetic(state)
    # On small tensors every operation costs the same: what does not change is computed once.
    q = _masses(freedom, kT).unbind(1)
    wanted = [freedom * kT, *[kT] * (CHAIN_LENGTH - 1)]
    x = state.chain_positions.clone()
    v = list(state.chain_velocities.unbind(1))
    scale = torch.ones_like(twice_kinetic)
    last = CHAIN_LENGTH - 1

    def pull(m: int) -> Tensor:
        given = twice_kinetic if m == 0 else q[m - 1] * v[m - 1].square()
        return (given - wanted[m]) / q[m]

    for weight in _WEIGHTS * _PARTS:
        d = weight * dt / _PARTS
        half, quarter, slowing = 0.5 * d, 0.25 * d, -0.125 * d
        v[last] = v[last] + quarter * pull(last)
        for m in range(last - 1, -1, -1):
            damp = torch.exp(slowing * v[m + 1])
            v[m] = damp * (damp * v[m] + quarter * pull(m))
        shrink = torch.exp(-half * v[0])
        scale, twice_kinetic = scale * shrink, twice_kinetic * shrink.square()
        x = x + half * torch.stack(v, 1)
        for m in range(last):
            damp = torch.exp(slowing * v[m + 1])
            v[m] = damp * (damp * v[m] + quarter * pull(m))
        v[last] = v[last] + quarter * pull(last)
    state.momenta = state.momenta * scale[state.system_idx, None]
    state.chain_positions, state.chain_velocities = x, torch.stack(v, 1)
