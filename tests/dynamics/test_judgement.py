"""Verdicts of simulations whose answer is known: survival, drift, and what decides when they differ."""

from __future__ import annotations

from pathlib import Path

import ase.build
import numpy as np
import polars as pl
import pytest

from atomlens.analyses import Outcome

pytest.importorskip("torch_sim", exc_type=ImportError)
from atomlens.dynamics.judgement import judge_stability
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulate import Fate, Simulation
from atomlens.dynamics.stability import Break, bond_reference

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
    verdict = judge_stability(made_up(tmp_path, n_replicas, broken(n_broken)), LANGEVIN, len(ETHANOL))
    assert verdict.outcome is verdict.findings[0].outcome is outcome
    assert f"{n_broken} of {n_replicas} replicas broke" in verdict.sentence


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
    finding = judge_stability(made_up(tmp_path, n_replicas, drift=drift), NVE, len(ETHANOL)).findings[1]
    assert finding.outcome is outcome
    assert finding.effect is not None
    assert finding.effect.value == pytest.approx(abs(drift + 0.005 * (n_replicas - 1)), abs=0.01)


def test_drift_is_that_of_the_sound_frames(tmp_path: Path) -> None:
    run = made_up(tmp_path, 16, broken(16), drift=0.1)
    wild = run.observables.with_columns(
        pl.when("sound").then("potential_eV").otherwise(pl.col("time_ps") * 100.0).alias("potential_eV")
    )
    run = Simulation(run.folder, run.fates, run.bonds, wild, run.seconds)
    assert judge_stability(run, NVE, len(ETHANOL)).findings[1].outcome is Outcome.AGREES


@pytest.mark.parametrize(
    ("n_broken", "drift", "outcome", "says"),
    [
        (0, 0.1, Outcome.AGREES, "0 of 16 replicas broke"),
        (4, 0.1, Outcome.CANNOT_TELL, "4 of 16 replicas broke"),
        (16, 0.1, Outcome.DEVIATES, "16 of 16 replicas broke"),
        (0, 0.925, Outcome.AGREES, "0 of 16 replicas broke"),
        (0, 5.0, Outcome.DEVIATES, "The total energy drifts by"),
        (4, 5.0, Outcome.DEVIATES, "The total energy drifts by"),
        (16, 5.0, Outcome.DEVIATES, "16 of 16 replicas broke"),
    ],
)
def test_the_sentence_is_that_of_the_finding_that_decides(
    tmp_path: Path, n_broken: int, drift: float, outcome: Outcome, says: str
) -> None:
    verdict = judge_stability(made_up(tmp_path, 16, broken(n_broken), drift), NVE, len(ETHANOL))
    assert verdict.outcome is outcome
    assert says in verdict.sentence
    assert any(f.outcome is outcome and f.sentence == verdict.sentence for f in verdict.findings)
