"""What a simulation says of a model: does it stay whole, does it keep its energy, are its distances right?"""

from __future__ import annotations

import math

import ase
import numpy as np

from atomlens.analyses import Effect, Finding, Outcome, Verdict, conclude, decide, molecule_effect
from atomlens.dynamics.distances import compare_distances
from atomlens.dynamics.lifetimes import Survival, kaplan_meier
from atomlens.dynamics.observables import energy_drift
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Simulation

# Limits of our own choice; no universal ones exist. Sixteen sound replicas, the default, show a share above 0.794 and
# thirteen one above 0.753: the first limit is one that they clear. Three broken of three fall short of it.
ALIVE = 0.75
DRIFT = 1.0  # meV/atom/ps
MISPLACED = 0.1  # share of distances


def survival(simulation: Simulation) -> Survival:
    """Survival curve of the replicas."""
    times = np.array([fate.time for fate in simulation.fates])
    return kaplan_meier(times, np.array([fate.kind is not None for fate in simulation.fates]))


def judge_stability(
    simulation: Simulation, options: MDOptions, n_atoms: int, reference: list[ase.Atoms] | None = None
) -> Verdict:
    """Findings of a simulation.

    Parameters
    ----------
    simulation, options
        What was simulated, and how.
    n_atoms
        Number of atoms.
    reference
        Reference trajectory whose distances must be met, if there is one: of the temperature of the run, frames in
        order of time.
    """
    findings = [_survival_finding(simulation)]
    if options.ensemble == "nve":
        findings.append(_drift_finding(simulation, options, n_atoms))
    if reference:
        findings.append(_distance_finding(simulation, reference))
    return _concluded(tuple(findings))


def _concluded(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict, and the sentence of the finding that decides it: what deviates, else survival, which comes first.

    A small drift or good distances of whatever stayed whole do not make up for a survival that cannot be decided.
    """
    survives = findings[0].outcome
    if survives is Outcome.CANNOT_TELL and not any(finding.outcome is Outcome.DEVIATES for finding in findings):
        return Verdict("stability", survives, findings[0].sentence, findings)
    return conclude("stability", findings)


def _survival_finding(simulation: Simulation) -> Finding:
    curve = survival(simulation)
    effect = Effect(
        "share of sound replicas at the end (Kaplan-Meier)",
        float(curve.alive[-1]),
        float(curve.low[-1]),
        float(curve.high[-1]),
        curve.n_replicas,
    )
    kinds = [fate.kind.value for fate in simulation.fates if fate.kind is not None]
    text = ", ".join(f"{kinds.count(kind)} by {kind}" for kind in sorted(set(kinds)))
    sentence = f"{curve.n_broken} of {curve.n_replicas} replicas broke" + (f" ({text})" if text else "")
    if math.isfinite(curve.median_time):
        sentence += f", half of them within {curve.median_time:.3g} ps."
    else:
        sentence += f" in {max(fate.time for fate in simulation.fates):.3g} ps."
    # What has no bonds cannot lose one; an explosion is one all the same.
    unbound = not len(simulation.bonds.pairs) and not curve.n_broken
    if unbound:
        sentence = "The structure has no bonds that could break."
    return Finding(
        f"At least {ALIVE:.0%} of the replicas stay whole to the end.",
        Outcome.CANNOT_TELL if unbound else decide(effect, ALIVE),
        sentence,
        effect,
        ALIVE,
        reference="criteria: arXiv:2210.07237 (bonds), mlipaudit (explosion, hydrogen loss); limit: our choice",
    )


def _drift_finding(simulation: Simulation, options: MDOptions, n_atoms: int) -> Finding:
    drifts = []
    for fate in simulation.fates:
        table = simulation.observables
        mine = table.filter((table["replica"] == fate.replica) & table["sound"])
        total = (mine["potential_eV"] + mine["kinetic_eV"]).to_numpy()
        drifts.append(abs(energy_drift(mine["time_ps"].to_numpy(), total, n_atoms)))
    found = np.array([drift for drift in drifts if math.isfinite(drift)])
    name = "mean absolute drift of the total energy"
    effect = molecule_effect(name, lambda drawn: float(found[drawn].mean()), len(found), unit="meV/atom/ps")
    return Finding(
        f"The total energy drifts by less than {DRIFT:g} meV/atom/ps.",
        decide(effect, DRIFT, above=False),
        f"The total energy drifts by {effect} at {options.timestep:g} fs.",
        effect,
        DRIFT,
        reference="limit: our choice, for this time step",
    )


def _distance_finding(simulation: Simulation, reference: list[ase.Atoms]) -> Finding:
    """Distances against the reference.

    *agrees* if the misplaced share is below the limit with all its noise, *deviates* if it is above without the noise
    floor, *cannot tell* in between, and where the floor alone reaches the limit.
    """
    sound = []
    for fate in simulation.fates:
        times, positions = simulation.frames(fate.replica)
        sound.append(positions[times < fate.time] if fate.kind is not None else positions)
    found = compare_distances(sound, np.stack([frame.positions for frame in reference]))
    effect = Effect(
        "share of misplaced distances (limits: without the noise floor, and with it)",
        found.misplaced,
        max(0.0, found.misplaced - found.floor) if math.isfinite(found.floor) else math.nan,
        found.misplaced if math.isfinite(found.floor) else math.nan,
        len(sound),
    )
    text = f"{found.misplaced:.1%} of the distances are misplaced; "
    of = f"{found.n_frames} frames against {found.n_reference}"
    if not math.isfinite(found.floor):
        text += f"{of} are too few to tell how many by sampling alone."
    else:
        text += f"sampling alone misplaces {found.floor:.1%} ({of})"
        text += f", too much for a limit of {MISPLACED:.0%}." if found.floor >= MISPLACED else "."
    table = simulation.observables
    mean = table.filter(table["sound"])["temperature_K"].to_numpy().mean()
    return Finding(
        f"Distances are distributed as in the reference: less than {MISPLACED:.0%} are misplaced.",
        decide(effect, MISPLACED, above=False) if found.floor < MISPLACED else Outcome.CANNOT_TELL,
        f"{text} Both must be of one temperature: the run was at {mean:.0f} K, the reference's is not known.",
        effect,
        MISPLACED,
        reference="h(r): arXiv:2210.07237; noise floor and limit: our choice",
    )
