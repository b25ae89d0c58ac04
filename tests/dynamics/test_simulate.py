"""Simulations: conservation, equipartition, breaks, and going on after a kill."""

from __future__ import annotations

import copy
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
import torch
from ase import units

from atomlens import InputError, ModelConfig, Potential, load_model
from elsewhere import PretendDevice, move_away

pytest.importorskip("torch_sim", exc_type=ImportError)
from atomlens.analyses import Outcome
from atomlens.dynamics.judgement import judge_stability
from atomlens.dynamics.observables import energy_drift
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Simulation, check_start, simulate
from atomlens.dynamics.stability import Break
from atomlens.folders import save_state

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA can use")
ETHANOL = ase.build.molecule("CH3CH2OH")
SHORT = MDOptions(n_replicas=3, n_steps=60, interval=2, temperature=300.0, seed=4, frames_after_break=5)


@pytest.fixture(scope="module")
def model() -> Potential:
    return load_model("zoo:rmd17-ethanol-painn").converted(torch.float64)


def wild() -> Potential:
    """An untrained model of large scale: every replica comes apart."""
    torch.manual_seed(0)
    model = Potential(ModelConfig())
    with torch.no_grad():
        model.scale.fill_(50.0)
    return model.converted(torch.float64)


@pytest.mark.slow
def test_energy_is_conserved_and_the_error_is_second_order(model: Potential, tmp_path: Path) -> None:
    spread = []
    for step in (0.25, 0.5):
        options = MDOptions("nve", 300.0, step, int(30 / step), 2, int(2 / step), seed=1)
        run = simulate(model, ETHANOL, tmp_path / str(step), options)
        total = run.observables["potential_eV"] + run.observables["kinetic_eV"]
        mine = run.observables["replica"] == 0
        spread.append(np.ptp(total.filter(mine).to_numpy()))
        assert all(fate.kind is None for fate in run.fates)
    assert spread[1] < 0.02
    assert 2.5 < spread[1] / spread[0] < 6.0  # 4 for velocity Verlet


@pytest.mark.slow
def test_nve_hardly_drifts(model: Potential, tmp_path: Path) -> None:
    run = simulate(model, ETHANOL, tmp_path, MDOptions("nve", 200.0, 0.25, 120, 1, 4, seed=1))
    total = (run.observables["potential_eV"] + run.observables["kinetic_eV"]).to_numpy()
    assert abs(energy_drift(run.observables["time_ps"].to_numpy(), total, 9)) < 30.0


def test_velocities_start_from_the_temperature(model: Potential, tmp_path: Path) -> None:
    run = simulate(model, ETHANOL, tmp_path, MDOptions(n_replicas=200, n_steps=1, interval=1, temperature=400.0))
    first = run.observables.filter(run.observables["time_ps"] == 0)["temperature_K"].to_numpy()
    # The centre of mass rests; 200 replicas of 24 degrees of freedom leave 2 % of scatter.
    assert first.mean() == pytest.approx(400 * 8 / 9, rel=0.08)
    assert len(np.unique(first)) == 200


@pytest.mark.parametrize("ensemble", ["nve", "nose-hoover"])
def test_a_centre_of_mass_that_stays_at_rest_has_no_temperature(
    model: Potential, tmp_path: Path, ensemble: str
) -> None:
    water = ase.build.molecule("H2O")
    run = simulate(model, water, tmp_path, MDOptions(ensemble, 500.0, n_replicas=400, n_steps=1, interval=1))
    first = run.observables.filter(run.observables["time_ps"] == 0)
    # 400 replicas of 6 degrees of freedom leave 3 % of scatter.
    assert first["temperature_K"].mean() == pytest.approx(500.0, rel=0.09)
    assert (first["temperature_K"] * 6 * units.kB / 2 - first["kinetic_eV"]).abs().max() == pytest.approx(0, abs=1e-12)


def test_an_atom_alone_has_a_temperature(tmp_path: Path) -> None:
    atom = ase.Atoms("O", positions=[[0.0, 0.0, 0.0]])
    model = load_model("zoo:qm9-u0-schnet").converted(torch.float64)
    run = simulate(model, atom, tmp_path, MDOptions("nve", 500.0, n_replicas=1, n_steps=1, interval=1))
    assert run.observables["temperature_K"][0] == pytest.approx(run.observables["kinetic_eV"][0] / (1.5 * units.kB))


@pytest.mark.slow
def test_strong_friction_reaches_the_temperature(model: Potential, tmp_path: Path) -> None:
    options = MDOptions(n_replicas=16, n_steps=100, interval=5, temperature=300.0, friction=400.0, seed=2)
    run = simulate(model, ETHANOL, tmp_path, options)
    late = run.observables.filter(run.observables["time_ps"] > 0.02)["temperature_K"].to_numpy()
    assert late.mean() == pytest.approx(300, rel=0.1)


def test_nose_hoover_moves_one_replica(model: Potential, tmp_path: Path) -> None:
    run = simulate(model, ETHANOL, tmp_path, MDOptions("nose-hoover", 300.0, 0.5, 20, 1, 2))
    times, frames = run.frames(0)
    assert times.tolist() == pytest.approx([0.001 * k for k in range(11)])
    assert np.abs(frames[-1] - frames[0]).max() > 0.01


@pytest.fixture(scope="module")
def whole(model: Potential, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """A run of `SHORT` that nothing stopped, in six parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atomlens.dynamics.simulation.FRAMES_PER_PART", 5)
        return simulate(model, ETHANOL, tmp_path_factory.mktemp("whole") / "run", SHORT)


def same(one: Simulation, other: Simulation) -> None:
    assert one.observables.equals(other.observables)
    assert one.fates == other.fates
    for replica in range(3):
        for a, b in zip(one.frames(replica), other.frames(replica), strict=True):
            assert np.array_equal(a, b)


class Killed(Exception):
    """Stands for a kill between two frames."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 16, 29], ids=["before a part is written", "in the middle", "at the end"])
def test_a_killed_run_goes_on_bit_for_bit(
    model: Potential, whole: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr("atomlens.dynamics.simulation.FRAMES_PER_PART", 5)

    def stop(frame: int, *_: object) -> None:
        if frame == at:
            raise Killed

    with pytest.raises(Killed):
        simulate(model, ETHANOL, tmp_path / "killed", SHORT, report=stop)
    torch.manual_seed(99)
    same(simulate(model, ETHANOL, tmp_path / "killed", SHORT), whole)


class Runs:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("place", ["checkpoint.pt", "checkpoint.safetensors"])
def test_a_planted_pickle_does_not_run_where_a_simulation_goes_on(
    model: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("atomlens.dynamics.simulation.FRAMES_PER_PART", 5)

    def stop(frame: int, *_: object) -> None:
        if frame == 7:
            raise Killed

    with pytest.raises(Killed):
        simulate(model, ETHANOL, tmp_path / "run", SHORT, report=stop)
    torch.save({"frame": 5, "replicas": Runs(tmp_path / "ran")}, tmp_path / "run" / place)
    if place == "checkpoint.pt":  # where earlier versions kept it
        simulate(model, ETHANOL, tmp_path / "run", SHORT)
    else:
        with pytest.raises(InputError, match="not the state of a run"):
            simulate(model, ETHANOL, tmp_path / "run", SHORT)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_part_without_checkpoint_is_made_again(
    model: Potential, whole: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atomlens.dynamics.simulation.FRAMES_PER_PART", 5)
    save, saves = save_state, []

    def fail_once(path: Path, state: dict) -> None:
        saves.append(path)
        if len(saves) == 3:
            raise Killed
        save(path, state)

    monkeypatch.setattr("atomlens.dynamics.simulation.save_state", fail_once)
    with pytest.raises(Killed):
        simulate(model, ETHANOL, tmp_path / "killed", SHORT)
    # A process that is killed leaves what it was writing, hidden.
    (tmp_path / "killed" / ".frames-00002.npz.part-1-0").touch()
    same(simulate(model, ETHANOL, tmp_path / "killed", SHORT), whole)


def test_broken_replicas_are_told_and_dropped(tmp_path: Path) -> None:
    options = MDOptions(n_replicas=3, n_steps=4000, interval=5, temperature=2000.0, frames_after_break=3)
    run = simulate(wild(), ETHANOL, tmp_path, options)
    assert all(fate.kind is not None for fate in run.fates)
    for fate in run.fates:
        mine = run.observables.filter(run.observables["replica"] == fate.replica)
        sound = mine.filter(mine["sound"])["time_ps"]
        assert sound.max() < fate.time
        assert mine["time_ps"].max() == pytest.approx(fate.time + 3 * 0.0025) or fate.kind is Break.EXPLOSION
    assert run.observables["time_ps"].max() < 4000 * 0.5e-3  # stopped when the last one had broken


def test_a_replica_does_not_feel_the_others(model: Potential, tmp_path: Path) -> None:
    options = MDOptions("nve", 300.0, 0.5, 20, 3, 5, seed=4)
    three = simulate(model, ETHANOL, tmp_path / "3", options)
    _, frames = three.frames(0)
    moved = ETHANOL.copy()
    velocities = np.load(tmp_path / "3" / "frames-00000.npz")["velocities"][0]
    from ase.md.verlet import VelocityVerlet

    from atomlens.dynamics import AtomlensCalculator

    moved.calc = AtomlensCalculator(model)
    moved.set_velocities(velocities / units.fs)
    VelocityVerlet(moved, 0.5 * units.fs).run(20)
    np.testing.assert_allclose(moved.positions, frames[-1], atol=2e-5)


@pytest.mark.parametrize(
    ("atoms", "says"),
    [
        (ase.Atoms("CC", positions=[[0, 0, 0], [0, 0, 0.01]]), "lie within"),
        (ase.build.molecule("SiH4"), "Si"),
    ],
)
def test_unusable_structures_are_told(model: Potential, tmp_path: Path, atoms: ase.Atoms, says: str) -> None:
    with pytest.raises(InputError, match=says):
        simulate(model, atoms, tmp_path / "out", SHORT)
    assert not (tmp_path / "out").exists()


def test_folder_of_another_simulation_is_refused(whole: Simulation) -> None:
    with pytest.raises(InputError, match="another model, structure or settings"):
        simulate(wild(), ETHANOL, whole.folder, SHORT)


def test_model_without_energy_is_refused(tmp_path: Path) -> None:
    config = ModelConfig.from_dict({"output": {"property": "HOMO", "unit": "eV", "extensive": False}})
    with pytest.raises(InputError, match="no energy"):
        simulate(Potential(config), ETHANOL, tmp_path, SHORT)


def test_an_atom_has_nothing_to_lose(tmp_path: Path) -> None:
    atom = ase.Atoms("O", positions=[[0.0, 0.0, 0.0]])
    options = MDOptions(n_replicas=2, n_steps=4, interval=2)
    run = simulate(load_model("zoo:qm9-u0-schnet").converted(torch.float64), atom, tmp_path, options)
    verdict = judge_stability(run, options, atom)
    assert verdict.outcome is Outcome.NOT_APPLICABLE
    assert "no bonds" in verdict.sentence


@pytest.mark.parametrize("periodic", [True, [True, True, False]])
def test_a_periodic_structure_is_refused(model: Potential, tmp_path: Path, periodic: bool | list[bool]) -> None:
    """torch-sim wraps atoms into a cell and takes a slab for a molecule; bonds are measured in open space."""
    crystal = ETHANOL.copy()
    crystal.set_cell([12.0, 12.0, 12.0])
    check_start(model, crystal)
    crystal.pbc = periodic
    for start, reference in ((crystal, None), (ETHANOL, [ETHANOL, crystal])):
        with pytest.raises(InputError, match=r"open molecule.*periodic"):
            simulate(model, start, tmp_path / "out", SHORT, reference=reference)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ensemble", ["nve", "langevin", "nose-hoover"])
def test_a_simulation_makes_no_tensor_on_another_device(model: Potential, tmp_path: Path, ensemble: str) -> None:
    options = MDOptions(ensemble, 300.0, 0.5, 4, 2, 2, seed=1)
    expected = simulate(model, ETHANOL, tmp_path / "here", options)
    moved = copy.deepcopy(model)
    move_away(moved)

    def away() -> Simulation:
        with PretendDevice():
            return simulate(moved, ETHANOL, tmp_path / "away", options)

    with ThreadPoolExecutor(1) as pool:  # a thread of its own has no buffers from before
        found = pool.submit(away).result()
    assert found.observables.drop("seconds", strict=False).equals(expected.observables.drop("seconds", strict=False))


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cuda_starts_as_the_processor_does(model: Potential, tmp_path: Path, dtype: torch.dtype) -> None:
    options = MDOptions("nve", 300.0, 0.5, 4, 2, 2, seed=1)
    runs = [simulate(model.converted(dtype, d), ETHANOL, tmp_path / d, options) for d in ("cpu", "cuda")]
    for name in ("potential_eV", "kinetic_eV"):
        here, there = (run.observables[name].to_numpy() for run in runs)
        np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)
