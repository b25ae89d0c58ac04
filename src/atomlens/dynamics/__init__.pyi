from .calculators import AtomlensCalculator
from .energies import EnergyForcesStress, energy_forces_stress
from .failure import Failure, explain_failure, first_failure
from .judgement import judge_stability, survival
from .lifetimes import Survival
from .options import MDOptions
from .simulation import Fate, Report, Simulation, check_start, simulate

__all__ = [
    "AtomlensCalculator",
    "EnergyForcesStress",
    "Failure",
    "Fate",
    "MDOptions",
    "Report",
    "Simulation",
    "Survival",
    "check_start",
    "energy_forces_stress",
    "explain_failure",
    "first_failure",
    "judge_stability",
    "simulate",
    "survival",
]
