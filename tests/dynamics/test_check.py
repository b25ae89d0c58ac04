"""A check from the molecule to page, tables and figure."""

from __future__ import annotations

import html
import json
import math
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
import torch
from ase.calculators.morse import MorsePotential

pytest.importorskip("torch_sim", exc_type=ImportError)
from check_samples import DEPTH, LENGTH, STEEP, morse, opened

from atomlens import InputError, load_model
from atomlens.analyses import Wall
from atomlens.dynamics import BREAKS, HOLDS, Exits, WayOut, barrier_at, outlook
from atomlens.potentials import load_calculator
from atomlens.report import check_figure
from atomlens.runs import run_check
from atomlens.runs.check import _exit_finding, exit_table


@pytest.mark.slow
def test_a_run_has_tables_page_and_reference(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    water = ase.build.molecule("H2O")
    model = load_model("zoo:rmd17-ethanol-painn")
    run = run_check(model, "zoo:rmd17-ethanol-painn", water, "water", tmp_path / "run", temperature=300.0)
    assert (run.folder / "report.html").is_file()
    exits = pl.read_parquet(run.folder / "exits.parquet")
    assert set(exits["how"]) <= {"stretched", "compressed", "pushed together", "by itself"}
    assert exits["kT"].to_numpy() == pytest.approx(exits["energy_eV"].to_numpy() / (8.617333e-5 * 300.0), rel=1e-5)
    assert (exits.filter(pl.col("how") == "stretched")["reference_eV"] > 1.0).all()
    given = -8.617333e-5 * 300.0 * math.log(sum(math.exp(-e / (8.617333e-5 * 300.0)) for e in exits["reference_eV"]))
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["tried"] == 4
    assert summary["outlook"]["word"] in ("holds", "at risk", "breaks")
    assert (
        summary["verdict"]["outcome"]
        == {"holds": "agrees", "at risk": "cannot tell", "breaks": "deviates"}[summary["outlook"]["word"]]
    )
    assert summary["reference_barrier_eV"] == pytest.approx(given, rel=1e-5)
    assert "of replicas are expected to break within 5 ps" in summary["verdict"]["sentence"]
    assert summary["barrier_kT"] == pytest.approx(-math.log(sum(math.exp(-kT) for kT in exits["kT"])))
    assert summary["barrier_eV"] == pytest.approx(summary["barrier_kT"] * 8.617333e-5 * 300.0, rel=1e-5)
    assert f"{summary['barrier_kT']:.1f} kT (thermal exit barrier)" in summary["verdict"]["sentence"]
    assert run.walls.select("element_1", "element_2", "bonded").rows() == [("H", "H", False), ("H", "O", True)]
    with pytest.raises(InputError, match="earlier run"):
        run_check(model, "zoo:rmd17-ethanol-painn", water, "water", tmp_path / "run", temperature=300.0)


def test_a_check_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    run = run_check(opened(morse()), "morse", molecule, "H2", tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_check(opened(morse()), "morse", molecule, "H2", tmp_path / "run", progress=stop, overwrite=True)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert run_check(opened(morse()), "morse", molecule, "H2", tmp_path / "run", overwrite=True).folder == run.folder


@pytest.mark.parametrize("lowest", [-3.19, 1.4])
def test_a_relaxed_structure_that_is_no_minimum_of_the_reference_is_told(lowest: float) -> None:
    ways = [WayOut((0, 1), "stretched", energy, np.zeros((2, 3))) for energy in (1.5, 2.0)]
    found = Exits(ase.Atoms("H2"), 0.0, tuple(ways), 2, 0)
    table = exit_table(found, 0.025).with_columns(pl.Series("reference_eV", [lowest, 2.0]))
    said = _exit_finding(table, found, 300.0).sentence
    assert ("that is not the lowest structure there" in said) == (lowest < 0)
    assert ("GFN2-xTB at the same geometries" in said) == (lowest > 0)


def test_a_reference_that_cannot_be_had_is_told() -> None:
    found = Exits(ase.Atoms("H2"), 0.0, (WayOut((0, 1), "stretched", 1.5, np.zeros((2, 3))),), 1, 0)
    said = _exit_finding(exit_table(found, 0.025), found, 300.0, "9 electrons do not fit").sentence
    assert "GFN2-xTB could not be asked: 9 electrons do not fit." in said


def test_the_page_of_a_calculator_has_findings_and_no_terms(tmp_path: Path) -> None:
    run = run_check(opened(morse()), "morse", ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), "H2", tmp_path / "run")
    page = (run.folder / "report.html").read_text()
    assert html.escape(run.verdict.findings[1].sentence.split(".")[0]) in page
    assert "A calculator gives energies and forces" in page
    assert page.count("data:image/svg+xml") >= 1
    assert "When does a model agree" not in page  # nothing here is judged by an interval
    assert json.loads((run.folder / "summary.json").read_text())["model"]["has_terms"] is False
    assert (run.folder / "check.svg").is_file()
    assert run.exits["name"].to_list() == ["H0-H1 stretched", "H0-H1 compressed"]


def test_a_structure_in_pieces_is_said_to_be_in_pieces(tmp_path: Path) -> None:
    one = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    two = one + ase.Atoms("H2", [[0, 5, 0], [0, 5, 0.74]])
    said = [
        run_check(opened(morse()), "morse", atoms, "H2", tmp_path / f"{len(atoms)}").verdict.sentence
        for atoms in (one, two)
    ]
    assert "pieces" not in said[0]
    assert "The structure is in 2 pieces, and whether they stay together is not asked." in said[1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_check_that_ends_in_the_middle_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    class Ending(MorsePotential):
        calls = 0

        def calculate(self, *args, **kwargs) -> None:
            self.calls += 1
            if self.calls > 5:
                raise error
            super().calculate(*args, **kwargs)

    molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    with pytest.raises(error):
        run_check(opened(Ending(epsilon=DEPTH, r0=LENGTH)), "ending", molecule, "H2", tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


def test_a_molecule_is_checked_on_one_thread(tmp_path: Path) -> None:
    seen = []

    class Counting(MorsePotential):
        def calculate(self, *args, **kwargs) -> None:
            seen.append(torch.get_num_threads())
            super().calculate(*args, **kwargs)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pair = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
        run_check(
            opened(Counting(epsilon=DEPTH, rho0=STEEP * LENGTH, r0=LENGTH)), "morse", pair, "H2", tmp_path / "run"
        )
        assert set(seen) == {1}
        with pytest.raises(InputError, match="periodic"):
            run_check(opened(morse()), "morse", ase.Atoms("H", pbc=True), "cell", tmp_path / "refused")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_cells_and_atoms_alone_are_refused_or_said(tmp_path: Path) -> None:
    cell = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[5, 5, 5], pbc=True)
    with pytest.raises(InputError, match="periodic"):
        run_check(opened(morse()), "morse", cell, "cell", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    alone = run_check(opened(morse()), "morse", ase.Atoms("H"), "H", tmp_path / "alone")
    assert "no bonds" in alone.verdict.findings[1].sentence
    assert "no two atoms" in alone.verdict.findings[2].sentence


@pytest.mark.slow
def test_gfn2_checked_by_itself_has_no_hole(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    model = load_calculator("tblite.ase:TBLite", {"method": "GFN2-xTB", "verbosity": 0})
    run = run_check(model, "gfn2", ase.build.molecule("CH3OH"), "CO", tmp_path / "run")
    assert run.walls["gives_way_A"].count() >= 1
    assert not run.walls["hole"].any()
    assert run.walls["hole"].null_count() == 0
    page = (run.folder / "report.html").read_text()
    assert "hole in the model" not in run.verdict.sentence
    assert "or a wall that gives way, is a hole" not in page
    assert "of them give way only above 3 eV" in run.verdict.sentence


def test_ways_that_are_not_named_are_counted() -> None:
    names = [f"C0-H{k} compressed" for k in range(4)]
    rows = {"name": names, "how": ["compressed"] * 4, "energy_eV": [0.5] * 4, "kT": [11.6] * 4}
    exits = pl.DataFrame(rows | {"reference_eV": [12.0] * 4})
    ways = tuple(WayOut((0, k), "compressed", 0.5, np.zeros((2, 3))) for k in range(4))
    found = Exits(ase.Atoms("H2", np.zeros((2, 3))), 0.0, ways, 4, 0)
    sentence = _exit_finding(exits, found, 500.0).sentence
    assert "4 of the 4 ways below 20 kT (C0-H0 compressed, C0-H1 compressed, C0-H2 compressed, and 1 more)" in sentence


def test_ways_and_walls_far_above_what_decides_do_not_squeeze_the_figure() -> None:
    ways = pl.DataFrame({"name": ["a", "b"], "energy_eV": [1.4, 4000.0], "reference_eV": [1.5, 5000.0]})
    high = Wall(("C", "H"), (0, 1), False, np.array([2.0, 1.5, 1.0]), np.array([0.0, 6e4, 1.0]))
    left, right = check_figure(ways, [high], 0.086, 1.36).axes
    assert left.get_xlim()[1] < 6.0
    assert any("eV" in text.get_text() for text in left.texts)  # the bar beyond the edge has its number
    assert right.get_ylim()[1] <= 30.0


def test_the_figure_marks_the_limits_of_the_outlook() -> None:
    thermal = 0.043
    ways = pl.DataFrame({"name": ["H0-H1 stretched"], "energy_eV": [1.0], "reference_eV": [None]})
    axes = check_figure(ways, [], thermal, 0.9).axes[0]
    marks = {str(line.get_label()): float(np.asarray(line.get_xdata())[0]) for line in axes.lines}
    assert set(marks) == {"breaks below 8.0 kT", "holds from 12.7 kT"}
    assert sorted(marks.values()) == pytest.approx([thermal * barrier_at(share) for share in (BREAKS, HOLDS)])
    assert [bar.get_window_extent().width > 0 for bar in axes.patches] == [True, True]
    assert [str(label.get_text()) for label in axes.get_yticklabels()] == ["H0-H1 stretched", "thermal exit barrier"]
    for share, above, below in ((BREAKS, "at risk", "breaks"), (HOLDS, "holds", "at risk")):
        limit = barrier_at(share)
        assert (outlook(limit + 1e-6).word, outlook(limit - 1e-6).word) == (above, below)
