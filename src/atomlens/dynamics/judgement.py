"""What a simulation says of a model: does it stay whole, does it keep its energy, are its distances right?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile

import ase
import numpy as np

from atomlens.analyses import (
    MIN_MOLECULES,
    Claim,
    Effect,
    Finding,
    Outcome,
    Verdict,
    conclude,
    judge_claim,
    molecule_effect,
    not_applicable,
)
from atomlens.dynamics.distances import compare_distances
from atomlens.dynamics.lifetimes import Survival, kaplan_meier
from atomlens.dynamics.observables import energy_drift
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Simulation

# Limits of our own choice; no universal ones exist. Sixteen sound replicas, the default, show a share above 0.794 and
# thirteen one above 0.753: the first limit is one that they clear. Three broken of three fall short of it.
ALIVE = 0.75
DRIFT = 1.0  # meV/atom/ps
LONG_ENOUGH = 1.0  # ps; the slope of a shorter piece is noise
MISPLACED = 0.1  # share of distances


@dataclass(frozen=True)
class ReplicasNeeded:
    """How many replicas the verdict on survival needs, known before any is simulated.

    Attributes
    ----------
    all_sound
        Fewest replicas that agree if all stay sound.
    all_broken
        Fewest that deviate if all break.
    tolerated
        How many of the asked replicas may break and the verdict still agree; -1 if none of the outcomes agrees.
    n_replicas
        How many are asked for.
    """

    all_sound: int
    all_broken: int
    tolerated: int
    n_replicas: int

    def __str__(self) -> str:
        if self.n_replicas < self.all_broken:
            reach = f"{self.n_replicas} cannot decide it"
        elif self.tolerated < 0:
            reach = f"{self.n_replicas} can only show that it is unstable"
        else:
            reach = f"of {self.n_replicas}, {self.tolerated} may break"
        return (
            f"a verdict on survival needs {self.all_sound} replicas if all stay whole, {self.all_broken} if all break; "
            f"{reach}"
        )


def replicas_needed(n_replicas: int) -> ReplicasNeeded:
    """What a number of replicas can decide, from the limits of `kaplan_meier` for breaks one after the other.

    Examples
    --------
    >>> str(replicas_needed(16))
    'a verdict on survival needs 13 replicas if all stay whole, 3 if all break; of 16, 0 may break'
    """

    def limits(n: int, broken: int) -> tuple[float, float]:
        times = np.where(np.arange(n) < broken, 1.0 + np.arange(n), n + 1.0)
        curve = kaplan_meier(times, np.arange(n) < broken)
        return float(curve.low[-1]), float(curve.high[-1])

    sound = next(n for n in range(1, 1000) if limits(n, 0)[0] > ALIVE)
    broken = next(n for n in range(1, 1000) if limits(n, n)[1] < ALIVE)
    tolerated = sum(1 for _ in takewhile(lambda k: limits(n_replicas, k)[0] > ALIVE, range(n_replicas + 1))) - 1
    return ReplicasNeeded(sound, broken, tolerated, n_replicas)


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
    causes = ", ".join(f"{kinds.count(kind)} by {kind}" for kind in sorted(set(kinds)))
    more = f"{curve.n_broken} of {curve.n_replicas} replicas broke" + (f" ({causes})" if causes else "")
    if math.isfinite(curve.median_time):
        more += f", half of them within {curve.median_time:.3g} ps"
    else:
        more += f" in {max(fate.time for fate in simulation.fates):.3g} ps"
    # What has no bonds cannot lose one; an explosion is one all the same.
    if not len(simulation.bonds.pairs) and not curve.n_broken:
        reason = f"{_SURVIVAL.asked} The structure has no bonds that could break."
        return not_applicable(_SURVIVAL.text, reason, _SURVIVAL.reference)
    outcome, why = _SURVIVAL.decide(effect), ""
    if outcome is Outcome.CANNOT_TELL:
        why = f"This decides nothing: {replicas_needed(curve.n_replicas)}."
    return judge_claim(_SURVIVAL, effect, outcome=outcome, why=why, more=more)


_SURVIVAL = Claim(
    f"At least {ALIVE:.0%} of the replicas stay whole to the end.",
    "Do molecules stay whole?",
    "Runs of this length and temperature can be trusted to hold.",
    "Do not run dynamics of this length and temperature with this model.",
    "criteria: arXiv:2210.07237 (bonds), mlipaudit (explosion, hydrogen loss); limit: our choice",
    ALIVE,
    counted="replicas",
)
_DRIFT = Claim(
    f"The total energy drifts by less than {DRIFT:g} meV/atom/ps.",
    "Is the total energy conserved?",
    "The time step suits the forces.",
    "Take a shorter time step, or do not use this model without a thermostat.",
    "limit: our choice, for this time step",
    DRIFT,
    above=False,
    counted="replicas",
)


def _drift_finding(simulation: Simulation, options: MDOptions, n_atoms: int) -> Finding:
    r"""Mean absolute drift, replicas weighted by how long they stayed sound.

    The variance of a slope falls as the third power of its duration: a replica that broke after some frames has a drift
    of noise, and would decide a plain mean. Pieces below 1 ps are left out.
    """
    drifts, durations = [], []
    for fate in simulation.fates:
        table = simulation.observables
        mine = table.filter((table["replica"] == fate.replica) & table["sound"])
        times, total = mine["time_ps"].to_numpy(), (mine["potential_eV"] + mine["kinetic_eV"]).to_numpy()
        drift = abs(energy_drift(times, total, n_atoms))
        if math.isfinite(drift) and np.ptp(times) >= LONG_ENOUGH:
            drifts.append(drift)
            durations.append(float(np.ptp(times)))
    found, weight = np.array(drifts), np.array(durations)
    effect = molecule_effect(
        "mean absolute drift of the total energy, weighted by duration",
        lambda drawn: float(np.average(found[drawn], weights=weight[drawn])),
        len(found),
        unit="meV/atom/ps",
    )
    more, why = f"at {options.timestep:g} fs", ""
    if len(found) < MIN_MOLECULES:
        why = (
            f"This decides nothing: {len(found)} replicas stayed sound for {LONG_ENOUGH:g} ps, and an interval needs "
            f"{MIN_MOLECULES}."
        )
    return judge_claim(_DRIFT, effect, why=why, more=more)


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
    of = f"{found.n_frames} frames against {found.n_reference}"
    outcome, why = None, ""
    if not math.isfinite(found.floor):
        outcome, why = (
            Outcome.CANNOT_TELL,
            f"This decides nothing: {of} are too few to know the share by sampling alone.",
        )
        more = of
    else:
        more = f"sampling alone misplaces {found.floor:.1%} ({of})"
        if found.floor >= MISPLACED:
            outcome = Outcome.CANNOT_TELL
            why = f"This decides nothing: sampling alone misplaces too much for a limit of {MISPLACED:.0%}."
    table = simulation.observables
    mean = table.filter(table["sound"])["temperature_K"].to_numpy().mean()
    more += f"; both must be of one temperature: the run was at {mean:.0f} K, the reference's is not known"
    return judge_claim(_DISTANCES, effect, outcome=outcome, why=why, more=more)


_DISTANCES = Claim(
    f"Distances are distributed as in the reference: less than {MISPLACED:.0%} are misplaced.",
    "Are distances distributed as in the reference?",
    "Averages over such runs are those of the reference.",
    "Averages over such runs are not those of the reference.",
    "h(r): arXiv:2210.07237; noise floor and limit: our choice",
    MISPLACED,
    above=False,
    counted="replicas",
)
