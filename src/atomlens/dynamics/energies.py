"""Energy, forces and stress of a batch of structures, in eV and Å: what every calculator hands on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from atomlens.models import ENERGY_UNITS
from atomlens.potentials import AnyModel, OpenedModel
from atomlens.structures import AtomGraph, InputError


@dataclass(frozen=True)
class EnergyForcesStress:
    """What a potential says about a batch.

    Attributes
    ----------
    energy
        Energies in eV, shape (G,), float64.
    forces
        Forces in eV/Å, shape (N, 3).
    stress
        Stress in eV/Å^3, positive where the cell wants to shrink, shape (G, 3, 3); None if not asked for.
    """

    energy: Float[Tensor, " G"]
    forces: Float[Tensor, "N 3"]
    stress: Float[Tensor, "G 3 3"] | None


def energy_unit(model: AnyModel) -> float:
    """Factor from a model's output to eV, for models whose output is the energy of a structure.

    Raises
    ------
    InputError
        If the model predicts something else.
    """
    facts = model.facts
    if facts.unit not in ENERGY_UNITS or not facts.extensive:
        raise InputError(f"the model predicts {facts.quantity} in {facts.unit}, no energy; dynamics need an energy")
    return ENERGY_UNITS[facts.unit]


def energy_forces_stress(model: AnyModel, graph: AtomGraph, *, stress: bool = False) -> EnergyForcesStress:
    r"""Energies, :math:`F = -\partial E / \partial r` and :math:`\sigma = V^{-1}\,\partial E / \partial \epsilon`.

    The strain :math:`\epsilon` is symmetric and acts on positions and cells, :math:`r \to (1 + \epsilon) r`.

    Raises
    ------
    InputError
        If the model predicts no energy, or a stress is asked for where a structure has no cell, or of a model of
        another library.
    """
    factor = energy_unit(model)
    if not stress:
        energy, forces = model.energy_and_forces(graph)
        return EnergyForcesStress(energy.double() * factor, forces * factor, None)
    if isinstance(model, OpenedModel):
        raise InputError(f"stress of a {model.facts.name} comes from its library: ask model.calculator()")
    volumes = torch.linalg.det(graph.cells).abs()
    if bool((volumes < 1e-6).any()):
        raise InputError("stress needs a cell of three vectors; the structure has none")
    positions = graph.positions.detach().requires_grad_()
    strain = torch.zeros_like(graph.cells).requires_grad_()
    symmetric = 0.5 * (strain + strain.transpose(1, 2))
    strained = replace(
        graph,
        positions=positions + torch.einsum("ni,nij->nj", positions, symmetric[graph.batch]),
        offsets=graph.offsets + torch.einsum("ei,eij->ej", graph.offsets, symmetric[graph.batch[graph.target]]),
    )
    energy = model(strained)
    gradient, virial = torch.autograd.grad(energy.sum(), (positions, strain))
    return EnergyForcesStress(
        energy.detach().double() * factor, -gradient * factor, virial * factor / volumes[:, None, None]
    )
