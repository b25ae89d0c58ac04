"""A whole run of `md`: page, summary and tables; what gave way; going on; refusals."""

from __future__ import annotations

import json
from pathlib import Path

import ase.build
import numpy as np
import polars as pl
import pytest
import torch

from atomlens import InputError, Potential, explain, load_model

pytest.importorskip("torch_sim", exc_type=ImportError)
pytest.importorskip("tblite", exc_type=ImportError)
from atomlens.dynamics.failure import explain_failure, first_failure
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Simulation
from atomlens.reference import model_response
from atomlens.runs.md import MDRun, run_md

ETHANOL = ase.build.molecule("CH3CH2OH")
HOT = MDOptions(n_replicas=2, n_steps=1200, interval=2, temperature=4000.0, seed=1, frames_after_break=4)
NAME = "zoo:rmd17-ethanol-painn"


@pytest.fixture(scope="module")
def model() -> Potential:
    return load_model(NAME, dtype=torch.float64)


@pytest.fixture(scope="module")
def run(model: Potential, tmp_path_factory: pytest.TempPathFactory) -> MDRun:
    return run_md(model, NAME, ETHANOL, "ethanol.xyz", tmp_path_factory.mktemp("md") / "hot", HOT)


def test_summary_tells_every_fate(run: MDRun) -> None:
    summary = json.loads((run.folder / "summary.json").read_text())
    assert [fate["time_ps"] for fate in summary["fates"]] == [fate.time for fate in run.simulation.fates]
    assert summary["verdict"]["outcome"] == run.verdict.outcome.value
    assert summary["survival"]["n_broken"] == sum(fate.kind is not None for fate in run.simulation.fates)


def test_failure_shows_the_frames_before_the_break(model: Potential, run: MDRun) -> None:
    assert run.failure is not None
    first = min(fate.time for fate in run.simulation.fates if fate.kind is not None)
    assert run.failure.times[-1] == pytest.approx(first)
    rows = run.failure.terms.filter(run.failure.terms["frame"] == 0)
    frame = run.failure.frames[0]
    terms = explain(model, frame).interactions(2).order(2)
    known = {tuple(pair): value for pair, value in zip(terms.atoms.tolist(), terms.relevance.tolist(), strict=True)}
    couplings = model_response(model, frame).couplings
    for row in rows.iter_rows(named=True):
        pair = (row["atom_1"], row["atom_2"])
        assert row["term_eV"] == pytest.approx(known[pair], rel=1e-9)
        assert row["model_coupling"] == pytest.approx(couplings[pair], rel=1e-9)
        assert row["distance"] == pytest.approx(frame.get_distance(*pair))
    assert run.failure.terms["gave_way"].sum() == len(run.failure.frames)


def test_page_and_tables_are_there(run: MDRun) -> None:
    page = (run.folder / "report.html").read_text()
    assert "What gave way" in page
    assert page.count("data:image/svg+xml;base64,") == 2
    assert pl.read_parquet(run.folder / "failure.parquet").equals(run.failure.terms if run.failure else pl.DataFrame())
    assert pl.read_parquet(run.folder / "trajectory" / "observables.parquet").height > 10


def test_the_headline_of_the_page_has_the_conditions(run: MDRun) -> None:
    page = (run.folder / "report.html").read_text()
    whole = sum(fate.kind is None for fate in run.simulation.fates)
    assert f"{whole} of 2 replicas stayed whole for 0.6 ps at 4000 K" in page[: page.index("data:image")]
    assert "The molecule stays whole in simulations with this model." not in page
    assert any("a run of 0.6 ps cannot show that a molecule stays whole" in warning for warning in run.warnings)
    assert json.loads((run.folder / "summary.json").read_text())["warnings"] == list(run.warnings)


def test_finished_run_is_kept(model: Potential, run: MDRun) -> None:
    with pytest.raises(InputError, match="finished run"):
        run_md(model, NAME, ETHANOL, "ethanol.xyz", run.folder, HOT)


def test_sound_run_has_no_failure(model: Potential, tmp_path: Path) -> None:
    calm = MDOptions("nve", 100.0, 0.5, 10, 2, 2)
    found = run_md(model, NAME, ETHANOL, "ethanol.xyz", tmp_path / "calm", calm, reference=[ETHANOL, ETHANOL])
    assert found.failure is None
    assert [finding.effect is not None for finding in found.verdict.findings] == [True, True, True]
    assert first_failure(found.simulation) is None
    with pytest.raises(InputError, match="did not break"):
        explain_failure(model, ETHANOL, found.simulation, found.simulation.fates[0])


def test_frames_that_fell_in_on_one_spot_are_left_out(model: Potential, run: MDRun) -> None:
    assert run.failure is not None
    fate = run.failure.fate
    times, positions = run.simulation.frames(fate.replica)
    last = int(np.flatnonzero(times <= fate.time + 1e-9)[-1])
    positions[last, 4] = positions[last, 5] + 0.01

    class Fallen(Simulation):
        def frames(self, replica: int) -> tuple[np.ndarray, np.ndarray]:
            return times, positions

    fallen = Fallen(**vars(run.simulation))
    failure = explain_failure(model, ETHANOL, fallen, fate, n_frames=2)
    assert failure.times == (times[last - 2], times[last - 1])


@pytest.mark.parametrize(
    ("name", "structure", "reference", "says"),
    [
        (NAME, "CH3CH2OH", "H2O", "same molecule"),
        (NAME, "SiH4", None, "Si"),
        ("zoo:qm9-homo-schnet", "CH3CH2OH", None, "no energy"),
    ],
)
def test_what_cannot_be_simulated_leaves_no_folder(
    tmp_path: Path, name: str, structure: str, reference: str | None, says: str
) -> None:
    model, atoms = load_model(name, dtype=torch.float64), ase.build.molecule(structure)
    frames = None if reference is None else [ase.build.molecule(reference)]
    with pytest.raises(InputError, match=says):
        run_md(model, name, atoms, "x.xyz", tmp_path / "out", HOT, reference=frames)
    assert not (tmp_path / "out").exists()


def test_a_start_that_is_broken_already_leaves_no_folder(model: Potential, tmp_path: Path) -> None:
    whole = ase.build.molecule("CH3CH2OH")
    shrunk = whole.copy()
    shrunk.positions *= 0.6
    with pytest.raises(InputError, match="before any step"):
        run_md(model, NAME, whole, "x.xyz", tmp_path / "new" / "out", HOT, reference=[shrunk])
    assert not list(tmp_path.iterdir())
