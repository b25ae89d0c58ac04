from .calculators import AtomlensCalculator
from .energies import EnergyForcesStress, energy_forces_stress
from .exits import Exits, WayOut, find_exits
from .failure import Failure, explain_failure, first_failure
from .judgement import ReplicasNeeded, judge_stability, replicas_needed, survival
from .lifetimes import Survival
from .options import MDOptions
from .simulation import SIMULATION_FILES, Fate, Report, Simulation, check_start, simulate

__all__ = [
    "SIMULATION_FILES",
    "AtomlensCalculator",
    "EnergyForcesStress",
    "Exits",
    "Failure",
    "Fate",
    "MDOptions",
    "ReplicasNeeded",
    "Report",
    "Simulation",
    "Survival",
    "WayOut",
    "check_start",
    "energy_forces_stress",
    "explain_failure",
    "find_exits",
    "first_failure",
    "judge_stability",
    "replicas_needed",
    "simulate",
    "survival",
]
