"""Verdicts of simulations whose answer is known: survival, drift, distances, and what decides when they differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest

from atomlens.analyses import Outcome, without_question

pytest.importorskip("torch_sim", exc_type=ImportError)
from atomlens.dynamics.judgement import foreseen, judge_stability, replicas_needed, stability_headline
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Fate, Simulation
from atomlens.dynamics.stability import Break, bond_reference
from atomlens.dynamics.timestep import longest_step, step_too_long, step_warning

ETHANOL = ase.build.molecule("CH3CH2OH")
LANGEVIN, NVE = MDOptions(), MDOptions("nve")
TIMES = np.linspace(0.0, 10.0, 101)


def made_up(folder: Path, n_replicas: int, broke_at: dict[int, float] | None = None, drift: float = 0.0) -> Simulation:
    """Replicas of 10 ps that break at given times (ps); total energies rise by about `drift` (meV/atom/ps)."""
    broke_at = broke_at or {}
    fates, rows = [], []
    for replica in range(n_replicas):
        end = broke_at.get(replica)
        fates.append(Fate(replica, TIMES[-1] if end is None else end, None if end is None else Break.BOND))
        wobble = 1e-4 * np.random.default_rng(replica).standard_normal(len(TIMES))
        table = {
            "replica": np.full(len(TIMES), replica),
            "time_ps": TIMES,
            "potential_eV": -5.0 + 1e-3 * (drift + 0.01 * replica) * len(ETHANOL) * TIMES + wobble,
            "kinetic_eV": np.full(len(TIMES), 1.0),
            "temperature_K": np.full(len(TIMES), 500.0),
            "sound": np.less(TIMES, np.inf if end is None else end),
        }
        rows.append(pl.DataFrame(table))
    return Simulation(folder, tuple(fates), bond_reference(ETHANOL), pl.concat(rows), 1.0)


def broken(n: int) -> dict[int, float]:
    """The first n replicas break one after the other."""
    return {replica: 1.0 + 0.1 * replica for replica in range(n)}


@pytest.mark.parametrize(
    ("n_replicas", "n_broken", "outcome"),
    [
        (16, 0, Outcome.AGREES),
        (13, 0, Outcome.AGREES),
        (12, 0, Outcome.CANNOT_TELL),
        (1, 0, Outcome.CANNOT_TELL),
        (16, 1, Outcome.CANNOT_TELL),
        (16, 4, Outcome.CANNOT_TELL),
        (1, 1, Outcome.CANNOT_TELL),
        (2, 2, Outcome.CANNOT_TELL),
        (3, 3, Outcome.DEVIATES),
        (16, 12, Outcome.DEVIATES),
        (16, 16, Outcome.DEVIATES),
    ],
)
def test_survival(tmp_path: Path, n_replicas: int, n_broken: int, outcome: Outcome) -> None:
    verdict = judge_stability(made_up(tmp_path, n_replicas, broken(n_broken)), LANGEVIN, ETHANOL)
    assert verdict.outcome is verdict.findings[0].outcome is outcome
    assert f"{n_replicas - n_broken} of {n_replicas} replicas stayed whole for 10 ps at 500 K" in verdict.sentence
    if outcome is Outcome.CANNOT_TELL:
        assert "a verdict on survival needs 13 replicas if all stay whole, 3 if all break" in verdict.sentence


@pytest.mark.parametrize("n_replicas", [1, 2, 3, 12, 13, 16, 24, 40])
def test_what_replicas_can_decide_is_known_beforehand(tmp_path: Path, n_replicas: int) -> None:
    """Against the verdicts of all numbers of breaks."""
    needed = replicas_needed(n_replicas)
    found = [
        judge_stability(made_up(tmp_path, n_replicas, broken(k)), LANGEVIN, ETHANOL).outcome
        for k in range(n_replicas + 1)
    ]
    agreeing = [k for k, outcome in enumerate(found) if outcome is Outcome.AGREES]
    assert agreeing == list(range(needed.tolerated + 1))
    assert (found[0] is Outcome.AGREES) == (n_replicas >= needed.all_sound)
    assert (found[-1] is Outcome.DEVIATES) == (n_replicas >= needed.all_broken)


@pytest.mark.parametrize(
    ("n_broken", "timestep", "outcome"),
    [
        (16, 5.0, Outcome.CANNOT_TELL),
        (1, 1.6, Outcome.CANNOT_TELL),
        (0, 2.0, Outcome.AGREES),  # it held all the same
        (16, 1.0, Outcome.DEVIATES),
    ],
)
def test_a_model_is_not_blamed_for_a_long_time_step(
    tmp_path: Path, n_broken: int, timestep: float, outcome: Outcome
) -> None:
    options = MDOptions.lasting(10.0, timestep=timestep)
    run = made_up(tmp_path, 16, broken(n_broken))
    verdict = judge_stability(run, options, ETHANOL)
    assert verdict.outcome is outcome
    blamed = f"This decides nothing: a time step of {timestep:g} fs is too long for H, whose fastest bonds take 9 fs"
    assert (blamed in verdict.sentence) == (outcome is Outcome.CANNOT_TELL)
    assert ("Do not run dynamics" in verdict.sentence) == (outcome is Outcome.DEVIATES)
    assert (blamed in stability_headline(verdict, run, options)) == (outcome is Outcome.CANNOT_TELL)
    assert any("a time step of" in said for said in foreseen(options, ETHANOL)) == (timestep > 1.0)


@pytest.mark.parametrize(
    ("timestep", "says"),
    [(1.0, ""), (1.1, "energies drift"), (1.5, "energies drift"), (2.0, "may break by it"), (3.0, "by it alone")],
)
def test_a_step_is_blamed_for_no_more_than_it_does(timestep: float, says: str) -> None:
    said = step_warning(ETHANOL.numbers, timestep)
    assert (says in said, bool(said)) == (True, bool(says))
    assert bool(step_too_long(ETHANOL.numbers, timestep)) == (timestep > 1.5)


@pytest.mark.parametrize(("numbers", "timestep"), [([8, 1], 1.01), ([6, 6], 1.57), ([15, 15], 4.79)])
def test_a_warning_does_not_advise_the_step_it_warns_of(numbers: list[int], timestep: float) -> None:
    (advised,) = re.findall(r"use ([0-9.]+) fs or less", step_warning(numbers, timestep))
    assert step_warning(numbers, float(advised)) == ""


@pytest.mark.parametrize("timestep", [1.0, 1.5, 2.5, 3.2])
def test_a_harmonic_bond_follows_the_limits_of_the_step(timestep: float) -> None:
    """Verlet of the fastest O-H bond: energies stay below T / pi, and grow without bound beyond."""
    force = -((2 * np.pi / 9.0) ** 2)
    x, v, energies = 1.0, 0.0, []
    for _ in range(2000):
        v += 0.5 * timestep * force * x
        x += timestep * v
        v += 0.5 * timestep * force * x
        energies.append(0.5 * v * v - 0.5 * force * x * x)
        if energies[-1] > 1e6 * energies[0]:
            break
    assert (max(energies) > 1e3 * energies[0]) == ("by it alone" in step_warning([8, 1], timestep))


def test_drift_and_distances_at_a_long_time_step_are_not_those_of_the_model(tmp_path: Path) -> None:
    options = MDOptions.lasting(10.0, timestep=2.0, ensemble="nve")
    for run in (made_up(tmp_path, 16, drift=5.0), wobbling(tmp_path, 0.10)):
        found = judge_stability(run, options, ETHANOL, reference(1000) if isinstance(run, Wobbling) else None)
        assert found.findings[-1].outcome is Outcome.CANNOT_TELL
        assert "a time step of 2 fs is too long" in found.findings[-1].sentence


@pytest.mark.parametrize(
    ("formula", "wavenumber"),
    [("OH", 3700.0), ("CO", 2330.0), ("N2", 2330.0), ("P2", 780.0), ("Cl2", 780.0)],
)
def test_the_longest_step_follows_the_fastest_bond_of_the_lightest_element(formula: str, wavenumber: float) -> None:
    atoms = ase.Atoms(formula, np.zeros((2, 3)))
    period = 1e15 / (29_979_245_800.0 * wavenumber)
    assert longest_step(atoms.numbers) == pytest.approx(period / 9, rel=0.03)
    assert longest_step(atoms.numbers) < period / np.pi  # where Verlet's energies grow
    assert step_too_long(atoms.numbers, longest_step(atoms.numbers)) == ""


@pytest.mark.parametrize(
    ("time", "n_broken", "outcome"),
    [
        (0.02, 0, Outcome.CANNOT_TELL),
        (0.9, 0, Outcome.CANNOT_TELL),
        (1.0, 0, Outcome.AGREES),
        (0.02, 16, Outcome.DEVIATES),
    ],
)
def test_a_run_too_short_to_tell_never_agrees(tmp_path: Path, time: float, n_broken: int, outcome: Outcome) -> None:
    options = MDOptions.lasting(time, timestep=0.5)
    run = made_up(tmp_path, 16, broken(n_broken))
    verdict = judge_stability(run, options, ETHANOL)
    assert verdict.outcome is outcome
    assert ("too short to show" in verdict.sentence) == (outcome is Outcome.CANNOT_TELL)
    assert any("cannot show" in said for said in foreseen(options, ETHANOL)) == (time < 1.0)
    assert f"{16 - n_broken} of 16 replicas stayed whole for {time:g} ps at 500 K" in stability_headline(
        verdict, run, options
    )


def test_the_headline_has_the_conditions_and_what_decides(tmp_path: Path) -> None:
    def headline(run: Simulation, options: MDOptions, known: list[ase.Atoms] | None = None) -> str:
        return stability_headline(judge_stability(run, options, ETHANOL, known), run, options)

    kept = "of 16 replicas stayed whole for 10 ps at 500 K"
    assert headline(made_up(tmp_path, 16), LANGEVIN) == f"This model keeps the molecule whole: 16 {kept}."
    broke = headline(made_up(tmp_path, 16, broken(16)), LANGEVIN)
    assert broke == f"Simulations with this model break the molecule: 0 {kept}."
    drifting = headline(made_up(tmp_path, 16, drift=5.0), NVE)
    assert drifting.startswith("16 of 16 replicas stayed whole for 10 ps, started at 500 K. But: Take a shorter")
    far = headline(wobbling(tmp_path, 0.10), LANGEVIN, reference(1000))
    assert far == f"16 {kept}. But: Averages over such runs are not those of the reference."


def test_the_result_comes_before_what_was_expected(tmp_path: Path) -> None:
    finding = judge_stability(made_up(tmp_path, 16, broken(16)), LANGEVIN, ETHANOL).findings[0]
    said = "0 of 16 replicas stayed whole for 10 ps at 500 K (expected: at least 75 %; 95 % interval: 0 to 21 %): "
    assert without_question(finding.sentence).startswith(said)
    assert "16 broke (16 by bond); median lifetime 1.7 ps." in finding.sentence


def test_replicas_that_broke_at_once_do_not_decide_the_drift(tmp_path: Path) -> None:
    """True drift 0: slopes of four noisy frames are tens of meV/atom/ps, and would decide a plain mean."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        run = made_up(tmp_path, 16, dict.fromkeys(range(5), 0.4))
        noise = pl.Series(0.05 * rng.standard_normal(len(run.observables)))
        noisy = run.observables.with_columns(pl.col("potential_eV") + noise)
        run = Simulation(run.folder, run.fates, run.bonds, noisy, run.seconds)
        found = judge_stability(run, NVE, ETHANOL).findings[1]
        assert found.outcome is Outcome.AGREES, found.sentence
        assert found.effect is not None
        assert found.effect.n == 11


@pytest.mark.parametrize(
    ("n_replicas", "drift", "outcome"),
    [
        (16, 0.1, Outcome.AGREES),
        (16, -0.5, Outcome.AGREES),
        (16, 2.0, Outcome.DEVIATES),
        (16, -2.0, Outcome.DEVIATES),
        (16, 0.925, Outcome.CANNOT_TELL),
        (4, 0.1, Outcome.CANNOT_TELL),
    ],
)
def test_drift_of_the_energy(tmp_path: Path, n_replicas: int, drift: float, outcome: Outcome) -> None:
    finding = judge_stability(made_up(tmp_path, n_replicas, drift=drift), NVE, ETHANOL).findings[1]
    assert finding.outcome is outcome
    assert finding.effect is not None
    assert finding.effect.value == pytest.approx(abs(drift + 0.005 * (n_replicas - 1)), abs=0.01)


def test_drift_is_that_of_the_sound_frames(tmp_path: Path) -> None:
    run = made_up(tmp_path, 16, broken(16), drift=0.1)
    wild = run.observables.with_columns(
        pl.when("sound").then("potential_eV").otherwise(pl.col("time_ps") * 100.0).alias("potential_eV")
    )
    run = Simulation(run.folder, run.fates, run.bonds, wild, run.seconds)
    assert judge_stability(run, NVE, ETHANOL).findings[1].outcome is Outcome.AGREES


@pytest.mark.parametrize(
    ("n_broken", "drift", "outcome", "says"),
    [
        (0, 0.1, Outcome.AGREES, "16 of 16 replicas stayed whole"),
        (4, 0.1, Outcome.CANNOT_TELL, "12 of 16 replicas stayed whole"),
        (16, 0.1, Outcome.DEVIATES, "0 of 16 replicas stayed whole"),
        (0, 0.925, Outcome.AGREES, "16 of 16 replicas stayed whole"),
        (0, 5.0, Outcome.DEVIATES, "drift of the total energy"),
        (4, 5.0, Outcome.DEVIATES, "drift of the total energy"),
        (16, 5.0, Outcome.DEVIATES, "0 of 16 replicas stayed whole"),
    ],
)
def test_the_sentence_is_that_of_the_finding_that_decides(
    tmp_path: Path, n_broken: int, drift: float, outcome: Outcome, says: str
) -> None:
    verdict = judge_stability(made_up(tmp_path, 16, broken(n_broken), drift), NVE, ETHANOL)
    assert verdict.outcome is outcome
    assert says in verdict.sentence
    assert any(f.outcome is outcome and f.sentence == verdict.sentence for f in verdict.findings)


@dataclass(frozen=True)
class Wobbling(Simulation):
    """Replicas whose atoms wobble about ethanol by `size` Å at all times, and lie at random once they broke."""

    size: float = 0.05
    every: int = 1

    def frames(self, replica: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of a replica, drawn anew and the same every time."""
        times = TIMES[:: self.every]
        positions = wobble(len(times), 100 + replica, self.size)
        positions[times >= self.fates[replica].time] *= 3.0 if self.fates[replica].kind else 1.0
        return times, positions


def wobble(n_frames: int, seed: int, size: float = 0.05) -> np.ndarray:
    return ETHANOL.positions + size * np.random.default_rng(seed).standard_normal((n_frames, len(ETHANOL), 3))


def wobbling(folder: Path, size: float, every: int = 1, n_broken: int = 0) -> Simulation:
    return Wobbling(**vars(made_up(folder, 16, broken(n_broken))), size=size, every=every)


def reference(n_frames: int) -> list[ase.Atoms]:
    return [ase.Atoms(ETHANOL.symbols, positions) for positions in wobble(n_frames, 0)]


@pytest.mark.parametrize(
    ("size", "n_reference", "outcome"),
    [
        (0.05, 1000, Outcome.AGREES),
        (0.10, 1000, Outcome.DEVIATES),
        (0.065, 150, Outcome.CANNOT_TELL),  # above the limit with its noise, below without
        (0.05, 30, Outcome.CANNOT_TELL),  # the floor alone reaches the limit
        (0.30, 30, Outcome.CANNOT_TELL),  # so that nothing is decided, however much exceeds it
        (0.05, 10, Outcome.CANNOT_TELL),
        (0.10, 1, Outcome.CANNOT_TELL),
    ],
)
def test_distances(tmp_path: Path, size: float, n_reference: int, outcome: Outcome) -> None:
    finding = judge_stability(wobbling(tmp_path, size), LANGEVIN, ETHANOL, reference(n_reference)).findings[1]
    assert finding.outcome is outcome
    assert "one temperature: the run was at 500 K" in finding.sentence
    assert f"1616 frames against {n_reference}" in finding.sentence


@pytest.mark.parametrize("every", [1, 4, 20, 100])
@pytest.mark.parametrize("n_reference", [1, 2, 20, 50, 100, 300])
def test_a_perfect_sample_never_deviates(tmp_path: Path, every: int, n_reference: int) -> None:
    run = wobbling(tmp_path, 0.05, every)
    verdict = judge_stability(run, LANGEVIN, ETHANOL, reference(n_reference))
    assert verdict.findings[1].outcome is not Outcome.DEVIATES
    assert verdict.outcome is Outcome.AGREES


def test_only_sound_frames_are_compared(tmp_path: Path) -> None:
    verdict = judge_stability(wobbling(tmp_path, 0.05, n_broken=4), LANGEVIN, ETHANOL, reference(1000))
    assert verdict.findings[1].outcome is Outcome.AGREES
    # Good distances do not make up for a survival that cannot be told.
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert "12 of 16 replicas stayed whole" in verdict.sentence


def test_distances_that_deviate_decide(tmp_path: Path) -> None:
    verdict = judge_stability(wobbling(tmp_path, 0.10), LANGEVIN, ETHANOL, reference(1000))
    assert verdict.outcome is Outcome.DEVIATES
    assert "share of misplaced distances" in verdict.sentence.lower()
