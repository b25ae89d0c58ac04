from .calculators import AtomlensCalculator
from .energies import EnergyForcesStress, energy_forces_stress
from .exits import Exits, WayOut, find_exits, thermal_barrier
from .failure import Failure, explain_failure, first_failure
from .judgement import ReplicasNeeded, foreseen, judge_stability, replicas_needed, stability_headline, survival
from .lifetimes import Survival
from .options import MDOptions
from .outlook import BREAKS, HOLDS, HOW_SURE, INTERCEPT, SLOPE, WATCHED, WORDS, Outlook, Word, barrier_at, outlook
from .simulation import SIMULATION_FILES, Fate, Report, Simulation, check_start, simulate

__all__ = [
    "BREAKS",
    "HOLDS",
    "HOW_SURE",
    "INTERCEPT",
    "SIMULATION_FILES",
    "SLOPE",
    "WATCHED",
    "WORDS",
    "AtomlensCalculator",
    "EnergyForcesStress",
    "Exits",
    "Failure",
    "Fate",
    "MDOptions",
    "Outlook",
    "ReplicasNeeded",
    "Report",
    "Simulation",
    "Survival",
    "WayOut",
    "Word",
    "barrier_at",
    "check_start",
    "energy_forces_stress",
    "explain_failure",
    "find_exits",
    "first_failure",
    "foreseen",
    "judge_stability",
    "outlook",
    "replicas_needed",
    "simulate",
    "stability_headline",
    "survival",
    "thermal_barrier",
]
