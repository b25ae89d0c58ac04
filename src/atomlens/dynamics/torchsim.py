"""Models in torch-sim: many structures moved at once."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
import torch
from torch import Tensor
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState
from torch_sim.typing import StateDict

from atomlens.dynamics.energies import energy_forces_stress, energy_unit
from atomlens.potentials import AnyModel
from atomlens.structures import AtomGraph, build_graph, collate


class TorchSimModel(ModelInterface):
    """A model behind torch-sim's ``ModelInterface``: energies in eV, forces in eV/Å, stress in eV/Å^3.

    Pairs within molecules are listed once for a composition of the batch and only measured afterwards; periodic
    structures get their neighbours from vesin at every step.

    Parameters
    ----------
    model
        A model whose output is the energy of a structure.
    compute_stress
        Whether to compute the stress; needs cells.

    Raises
    ------
    InputError
        If the model predicts something else.
    """

    def __init__(self, model: AnyModel, *, compute_stress: bool = False) -> None:
        super().__init__()
        energy_unit(model)
        self.model = model
        self._device = model.device
        self._dtype = model.dtype
        self._compute_forces = True
        self._compute_stress = compute_stress
        self._pairs_of: Tensor | None = None
        self._pairs: tuple[Tensor, Tensor] | None = None

    def forward(self, state: SimState | StateDict, **kwargs: Any) -> dict[str, Tensor]:
        """Energies (G,), forces (N, 3) and, if computed, stresses (G, 3, 3) of all structures of a state."""
        if not isinstance(state, SimState):
            state = SimState(**state)  # pyright: ignore[reportArgumentType, reportCallIssue]
        found = energy_forces_stress(self.model, self._graph(state), stress=self._compute_stress)
        results = {"energy": found.energy.to(self._dtype), "forces": found.forces.detach()}
        if found.stress is not None:
            results["stress"] = found.stress.detach()
        return results

    def _graph(self, state: SimState) -> AtomGraph:
        # One flag in torch-sim 0.3, one for each direction later.
        periodic = np.broadcast_to(np.asarray(torch.as_tensor(state.pbc).cpu()), 3)
        self.model.check_open(bool(periodic.any()))
        return self._periodic(state, periodic) if periodic.any() else self._molecules(state)

    def _molecules(self, state: SimState) -> AtomGraph:
        target, source = self._all_pairs(state.system_idx)
        positions = state.positions.detach().to(self._dtype)
        near = (positions[source] - positions[target]).square().sum(1) < self.model.cutoff**2
        target, source = target[near], source[near]
        return AtomGraph(
            numbers=state.atomic_numbers.to(torch.int64),
            positions=positions,
            cells=state.row_vector_cell.detach().to(self._dtype),
            target=target,
            source=source,
            offsets=positions.new_zeros(len(target), 3),
            batch=state.system_idx.to(torch.int64),
            cutoff=self.model.cutoff,
        )

    def _all_pairs(self, system: Tensor) -> tuple[Tensor, Tensor]:
        if self._pairs is None or self._pairs_of is None or not torch.equal(self._pairs_of, system):
            sizes = torch.bincount(system)
            first = (sizes.cumsum(0) - sizes)[system]
            partners = sizes[system]
            target = torch.repeat_interleave(torch.arange(len(system), device=system.device), partners)
            starts = partners.cumsum(0) - partners
            source = torch.arange(len(target), device=system.device) - starts[target] + first[target]
            other = target != source
            self._pairs_of, self._pairs = system.clone(), (target[other], source[other])
        return self._pairs

    def _periodic(self, state: SimState, periodic: np.ndarray) -> AtomGraph:
        numbers, positions = state.atomic_numbers.cpu().numpy(), state.positions.detach().cpu().numpy()
        cells, system = state.row_vector_cell.detach().cpu().numpy(), state.system_idx.cpu().numpy()
        graphs = []
        for k, cell in enumerate(cells):
            atoms = ase.Atoms(numbers[system == k], positions[system == k], cell=cell, pbc=periodic)
            graphs.append(build_graph(atoms, self.model.cutoff, dtype=self._dtype))
        return collate(graphs).to(device=self._device)
