"""Energies and forces of one set of atoms in many places, from whatever has them: models and ASE calculators."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator
from jaxtyping import Float

from atomlens.models import ENERGY_UNITS, Potential
from atomlens.potentials.calculated import CalculatorModel
from atomlens.potentials.imported import described
from atomlens.potentials.opened import AnyModel
from atomlens.structures import InputError, collate

# Geometries of one call of our own networks.
_BATCH = 64

AnyPotential = AnyModel | CalculatorModel


@dataclass(frozen=True)
class Scan:
    """A potential along a path.

    Attributes
    ----------
    energies
        In eV, shape (S,); NaN where the potential gives none.
    forces
        In eV/Å, shape (S, N, 3); NaN where the potential gives none.
    reason
        Why numbers are missing; "" where none is.
    """

    energies: Float[np.ndarray, " S"]
    forces: Float[np.ndarray, "S N 3"]
    reason: str = ""


def scan(potential: AnyPotential | Calculator, atoms: ase.Atoms, positions: Float[np.ndarray, "S N 3"]) -> Scan:
    """Energies and forces of a structure with its atoms in other places.

    What a potential refuses, or fails at, is missing and stops nothing.

    Parameters
    ----------
    potential
        A model of energies, or any ASE calculator.
    atoms
        Elements, cell, charge.
    positions
        In Å, shape (S, N, 3).
    """
    if isinstance(potential, Potential):
        return _of_network(potential, atoms, positions)
    energies, forces = np.full(len(positions), np.nan), np.full(positions.shape, np.nan)
    reason, work = "", atoms.copy()
    if isinstance(potential, Calculator):
        work.calc = potential
    for k, place in enumerate(positions):
        work.positions = place
        try:
            if isinstance(potential, Calculator):
                energy, force = work.get_potential_energy(), work.get_forces()
            else:
                found = potential.predict(work)
                energy, force = found.energy, found.forces
        except Exception as error:  # someone else's code may raise anything
            reason = reason or (str(error) if isinstance(error, InputError) else described(error))
            continue
        if force is not None and np.isfinite(energy) and np.isfinite(force).all():
            energies[k], forces[k] = energy, force
        else:
            reason = reason or "an energy or force is not finite"
    return Scan(energies, forces, reason)


def _of_network(model: Potential, atoms: ase.Atoms, positions: Float[np.ndarray, "S N 3"]) -> Scan:
    factor = ENERGY_UNITS[model.facts.unit]
    energies, forces = np.full(len(positions), np.nan), np.full(positions.shape, np.nan)
    reason, graphs, kept = "", [], []
    for k, place in enumerate(positions):
        work = atoms.copy()
        work.positions = place
        try:
            graphs.append(model.graph(work))
            kept.append(k)
        except InputError as error:
            reason = reason or str(error)
    for start in range(0, len(graphs), _BATCH):
        chosen = kept[start : start + _BATCH]
        y, pull = model.energy_and_forces(collate(graphs[start : start + _BATCH]))
        energies[chosen] = factor * y.detach().reshape(-1).to(device="cpu", dtype=torch.float64).numpy()
        forces[chosen] = factor * pull.detach().to(device="cpu", dtype=torch.float64).numpy().reshape(
            -1, *forces.shape[1:]
        )
    bad = ~(np.isfinite(energies) & np.isfinite(forces).all(axis=(1, 2)))
    energies[bad], forces[bad] = np.nan, np.nan
    return Scan(energies, forces, reason or ("an energy or force is not finite" if bad.any() else ""))
