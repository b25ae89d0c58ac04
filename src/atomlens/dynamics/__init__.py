"""Molecular dynamics with the models. `atomlens.dynamics.torchsim` needs the extra ``md`` and is imported by name."""

from atomlens.dynamics.calculators import AtomlensCalculator
from atomlens.dynamics.energies import EnergyForcesStress, energy_forces_stress

__all__ = ["AtomlensCalculator", "EnergyForcesStress", "energy_forces_stress"]
