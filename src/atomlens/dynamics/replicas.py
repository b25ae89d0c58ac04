"""All replicas of a simulation in one batch: advance, read out, drop, store, restore."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
import torch
import torch_sim as ts
from ase import units
from jaxtyping import Float, Int
from torch_sim.integrators import MDState
from torch_sim.units import MetalUnits

from atomlens.dynamics.nose_hoover import nose_hoover
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.torchsim import TorchSimModel
from atomlens.potentials import AnyModel
from atomlens.structures import InputError


@dataclass(frozen=True)
class Snapshot:
    """One frame of all running replicas.

    Attributes
    ----------
    positions, velocities
        In Å and Å/fs, shape (R, N, 3).
    potential, kinetic
        Energies in eV, shape (R,).
    freedom
        Degrees of freedom of a replica that hold kinetic energy; see `degrees_of_freedom`.
    """

    positions: Float[np.ndarray, "R N 3"]
    velocities: Float[np.ndarray, "R N 3"]
    potential: Float[np.ndarray, " R"]
    kinetic: Float[np.ndarray, " R"]
    freedom: int

    @property
    def temperatures(self) -> Float[np.ndarray, " R"]:
        r"""Instantaneous temperatures :math:`2 E_{kin} / (d\,k_B)` in K, with d degrees of freedom."""
        return 2.0 * self.kinetic / (self.freedom * units.kB)


def degrees_of_freedom(ensemble: str, n_atoms: int) -> int:
    """How many degrees of freedom share the kinetic energy: 3 N - 3 where the centre of mass stays at rest, else 3 N.

    It starts at rest; NVE and Nosé-Hoover keep its momentum, Langevin noise does not. A single atom moves.
    """
    return 3 * n_atoms if ensemble == "langevin" or n_atoms == 1 else 3 * n_atoms - 3


def thermal_momenta(atoms: ase.Atoms, options: MDOptions, replica: int) -> Float[np.ndarray, "N 3"]:
    r"""Momenta of one replica in ASE's unit, Maxwell-Boltzmann distributed, the centre of mass at rest.

    .. math:: p_i = \sqrt{m_i k_B T}\, \xi_i - \frac{m_i}{M} \sum_j \sqrt{m_j k_B T}\, \xi_j
    """
    mass = atoms.get_masses()[:, None]
    noise = np.random.default_rng([options.seed, replica]).standard_normal((len(atoms), 3))
    momenta = np.sqrt(mass * units.kB * options.temperature) * noise
    return momenta - mass / mass.sum() * momenta.sum(axis=0) if len(atoms) > 1 else momenta


class Replicas:
    """Copies of one structure under one integrator.

    Parameters
    ----------
    model
        A model of energies; its dtype is that of the simulation.
    atoms
        The structure.
    options
        How to simulate.

    Raises
    ------
    InputError
        If the model predicts no energy, or its forces on the structure are not finite.
    """

    def __init__(self, model: AnyModel, atoms: ase.Atoms, options: MDOptions) -> None:
        self.options = options
        self.n_atoms = len(atoms)
        self.running = np.arange(options.n_replicas)
        torch_model = TorchSimModel(model)
        time = MetalUnits.time  # torch-sim counts in eV, Å, amu
        picosecond = float(time)
        scalar = {"dtype": model.dtype, "device": model.device}
        dt = torch.tensor(options.timestep * 1e-3 * picosecond, **scalar)
        kT = torch.tensor(options.temperature * units.kB, **scalar)
        common: dict[str, Any] = {"dt": dt, "kT": kT}
        if options.ensemble == "nve":
            start, self._step = ts.nve(torch_model, **common)
        elif options.ensemble == "langevin":
            friction = torch.tensor(options.friction / picosecond, **scalar)
            start, self._step = ts.nvt_langevin(torch_model, gamma=friction, **common)
        else:
            start, self._step = nose_hoover(torch_model, **common)
        self._fs = 1e-3 * picosecond
        state = ts.initialize_state([atoms] * options.n_replicas, model.device, model.dtype)
        # torch-sim's own draw takes the same momentum off every atom, which heats the light ones.
        momenta = np.concatenate([thermal_momenta(atoms, options, k) for k in range(options.n_replicas)])
        vars(state)["momenta"] = torch.as_tensor(momenta, **scalar)
        torch.manual_seed(options.seed)
        self.state: MDState = start(state, kT=kT, seed=options.seed)  # pyright: ignore[reportCallIssue]
        if not bool(torch.isfinite(self.state.forces).all()):
            raise InputError(f"the model gives no finite forces on {atoms.get_chemical_formula()}; check the structure")

    def advance(self, n_steps: int) -> None:
        """Make `n_steps` steps with all running replicas."""
        for _ in range(n_steps):
            self.state = self._step(self.state)  # pyright: ignore[reportCallIssue, reportArgumentType]  # dt is bound

    def snapshot(self) -> Snapshot:
        """The running replicas as they are now."""
        shape = (len(self.running), self.n_atoms, 3)
        velocities = self.state.velocities.double()
        mass = self.state.masses.double()
        kinetic = 0.5 * (mass * velocities.square().sum(1)).view(shape[:2]).sum(1)
        return Snapshot(
            self.state.positions.double().cpu().numpy().reshape(shape),
            (velocities * self._fs).cpu().numpy().reshape(shape),
            self.state.energy.double().cpu().numpy(),
            kinetic.cpu().numpy(),
            degrees_of_freedom(self.options.ensemble, self.n_atoms),
        )

    def keep(self, rows: Int[np.ndarray, " K"]) -> None:
        """Go on with some of the running replicas only."""
        if len(rows) < len(self.running):
            self.running = self.running[rows]
            if len(rows):
                self.state = self.state[rows.tolist()]

    def store(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on as if nothing had happened."""
        state = copy.deepcopy(vars(self.state))
        return {"running": self.running.copy(), "state": state, "random": torch.get_rng_state()}

    def restore(self, stored: dict[str, Any]) -> None:
        """Go back to what `store` returned.

        Raises
        ------
        ValueError, LookupError, TypeError, RuntimeError
            If that is of other replicas.
        """
        self.keep(np.flatnonzero(np.isin(self.running, stored["running"])))
        for name, now in vars(self.state).items():
            value = stored["state"][name]
            if isinstance(now, torch.Tensor):
                if value.shape != now.shape or value.dtype != now.dtype:
                    raise ValueError(f"{name} is of another shape or type")
                value = value.to(now.device)
            setattr(self.state, name, value)
        torch.set_rng_state(stored["random"])
