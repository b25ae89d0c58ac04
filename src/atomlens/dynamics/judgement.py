"""What a simulation says of a model: does it stay whole, does it keep its energy, are its distances right?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile

import ase
import numpy as np

from atomlens.analyses import (
    DECIDES_NOTHING,
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
    sentence_case,
)
from atomlens.dynamics.distances import compare_distances
from atomlens.dynamics.lifetimes import Survival, kaplan_meier
from atomlens.dynamics.observables import energy_drift
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Simulation
from atomlens.dynamics.timestep import step_too_long, step_warning

# Limits of our own choice; no universal ones exist. Sixteen sound replicas, the default, show a share above 0.794 and
# thirteen one above 0.753: the first limit is one that they clear. Three broken of three fall short of it.
ALIVE = 0.75
DRIFT = 1.0  # meV/atom/ps
# ps. The slope of a shorter piece is noise. Replicas start from one structure, and often from a minimum: with friction
# of 10/ps a thermostat needs 0.1 ps to warm it, and torsions take some 0.2 ps to swing. That a molecule stays whole for
# less than several of these times says no more than that it was not broken at the start.
LONG_ENOUGH = 1.0
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


def foreseen(options: MDOptions, atoms: ase.Atoms) -> list[str]:
    """What keeps a run from deciding anything, known before any step is made: one sentence each."""
    found = []
    if warning := step_warning(atoms.numbers, options.timestep):
        found.append(warning)
    if options.time < LONG_ENOUGH:
        found.append(f"a run of {options.time:.3g} ps cannot show that a molecule stays whole; {_LONGER}")
    return found


def survival(simulation: Simulation) -> Survival:
    """Survival curve of the replicas."""
    times = np.array([fate.time for fate in simulation.fates])
    return kaplan_meier(times, np.array([fate.kind is not None for fate in simulation.fates]))


def judge_stability(
    simulation: Simulation, options: MDOptions, atoms: ase.Atoms, reference: list[ase.Atoms] | None = None
) -> Verdict:
    """Findings of a simulation.

    Where the time step is too long for the elements (`step_too_long`), a model is not blamed: what would deviate cannot
    be told, and so is survival as soon as one replica broke. A run below 1 ps never agrees.

    Parameters
    ----------
    simulation, options
        What was simulated, and how.
    atoms
        What was simulated.
    reference
        Reference trajectory whose distances must be met, if there is one: of the temperature of the run, frames in
        order of time.
    """
    blamed = step_too_long(atoms.numbers, options.timestep)
    findings = [_survival_finding(simulation, options, blamed)]
    if options.ensemble == "nve":
        findings.append(_drift_finding(simulation, options, len(atoms), blamed))
    if reference:
        findings.append(_distance_finding(simulation, reference, blamed))
    return _concluded(tuple(findings))


def stability_headline(verdict: Verdict, simulation: Simulation, options: MDOptions) -> str:
    """A verdict of `judge_stability` in one or two sentences with its conditions: replicas, time and temperature."""
    kept, first = _kept(simulation, options), verdict.findings[0]
    decides = next(finding for finding in verdict.findings if finding.outcome is verdict.outcome)
    if first.outcome is Outcome.NOT_APPLICABLE:
        return decides.answer
    if verdict.outcome is Outcome.AGREES:
        return f"This model keeps the molecule whole: {kept}."
    if first.outcome is Outcome.DEVIATES:
        return f"Simulations with this model break the molecule: {kept}."
    return f"{sentence_case(kept)}. {'' if decides is first else 'But: '}{decides.answer}"


def _concluded(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict, and the sentence of the finding that decides it: what deviates, else survival, which comes first.

    A small drift or good distances of whatever stayed whole do not make up for a survival that cannot be decided.
    """
    survives = findings[0].outcome
    if survives is Outcome.CANNOT_TELL and not any(finding.outcome is Outcome.DEVIATES for finding in findings):
        return Verdict("stability", survives, findings[0].sentence, findings)
    return conclude("stability", findings)


def _kept(simulation: Simulation, options: MDOptions) -> str:
    """How many replicas stayed whole, and under which conditions."""
    whole = sum(fate.kind is None for fate in simulation.fates)
    # In NVE half of it becomes potential energy where replicas start from a minimum.
    start = ", started" if options.ensemble == "nve" else ""
    time = f"{options.time:.3g} ps{start} at {options.temperature:g} K"
    return f"{whole} of {len(simulation.fates)} replicas stayed whole for {time}"


def _survival_finding(simulation: Simulation, options: MDOptions, blamed: str) -> Finding:
    curve = survival(simulation)
    effect = Effect(
        "share of sound replicas at the end (Kaplan-Meier)",
        float(curve.alive[-1]),
        float(curve.low[-1]),
        float(curve.high[-1]),
        curve.n_replicas,
    )
    # What has no bonds cannot lose one; an explosion is one all the same.
    if not len(simulation.bonds.pairs) and not curve.n_broken:
        reason = f"{_SURVIVAL.asked} The structure has no bonds that could break."
        return not_applicable(_SURVIVAL.text, reason, _SURVIVAL.reference)
    outcome, reasons = _SURVIVAL.decide(effect), []
    if curve.n_broken and blamed:
        outcome, reasons = Outcome.CANNOT_TELL, [blamed]
    elif outcome is Outcome.CANNOT_TELL:
        reasons.append(str(replicas_needed(curve.n_replicas)))
    if not curve.n_broken and options.time < LONG_ENOUGH:
        outcome = Outcome.CANNOT_TELL
        reasons.append(f"{options.time:.3g} ps are too short to show that a molecule stays whole, {_LONGER}")
    means = {Outcome.AGREES: _SURVIVAL.agrees, Outcome.DEVIATES: _SURVIVAL.deviates}
    answer = means.get(outcome, f"{DECIDES_NOTHING} {'; '.join(reasons)}.")
    expected = f"expected: at least {_ALIVE}; 95 % interval: {100 * effect.low:.0f} to {100 * effect.high:.0f} %"
    number = f"{_kept(simulation, options)} ({expected}){_causes(simulation)}."
    return Finding(
        _SURVIVAL.text,
        outcome,
        f"{_SURVIVAL.asked} {number} {answer}",
        effect,
        ALIVE,
        reference=_SURVIVAL.reference,
        answer=answer,
        allowed=_SURVIVAL.allowed,
    )


def _causes(simulation: Simulation) -> str:
    """What replicas broke by, and how soon, a clause; empty where none did."""
    curve = survival(simulation)
    kinds = [fate.kind.value for fate in simulation.fates if fate.kind is not None]
    if not kinds:
        return ""
    causes = ", ".join(f"{kinds.count(kind)} by {kind}" for kind in sorted(set(kinds)))
    half = f"; median lifetime {curve.median_time:.3g} ps" if math.isfinite(curve.median_time) else ""
    return f": {len(kinds)} broke ({causes}){half}"


_ALIVE = f"{100 * ALIVE:.0f} %"
_LONGER = f"simulate {LONG_ENOUGH:g} ps or more"
_SURVIVAL = Claim(
    f"At least {_ALIVE} of the replicas stay whole to the end.",
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


def _drift_finding(simulation: Simulation, options: MDOptions, n_atoms: int, blamed: str) -> Finding:
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
    return _judged(_DRIFT, effect, blamed, why=why, more=more)


def _judged(
    claim: Claim, effect: Effect, blamed: str, *, outcome: Outcome | None = None, why: str = "", more: str = ""
) -> Finding:
    """`judge_claim`, but a model that deviates is not blamed for what a time step may have done."""
    if blamed and (outcome or claim.decide(effect)) is Outcome.DEVIATES:
        outcome, why = Outcome.CANNOT_TELL, f"{DECIDES_NOTHING} {blamed}."
    return judge_claim(claim, effect, outcome=outcome, why=why, more=more)


def _distance_finding(simulation: Simulation, reference: list[ase.Atoms], blamed: str) -> Finding:
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
    return _judged(_DISTANCES, effect, blamed, outcome=outcome, why=why, more=more)


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
