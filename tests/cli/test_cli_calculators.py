"""`atomlens analyze` with ASE calculators by import path."""

from __future__ import annotations

import json

import ase.build
import ase.io
import polars as pl
import pytest
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from cli_samples import left_over, run

pytestmark = pytest.mark.usefixtures("rough_pictures")

QUICK = "species,extensivity,faithfulness"
FRAME = {"check": ("--frame", "0"), "response": ("--frames", "0")}


class NeedsCell(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        if not atoms.pbc.all():
            raise ValueError("a cell is needed")
        super().calculate(atoms, list(properties), list(system_changes))


class WrongForces(LennardJones):
    """Forces of 0.05 eV/Å along x that no energy has."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        self.results["forces"] = self.results["forces"] + [0.05, 0.0, 0.0]


class OnlySmall(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        if len(atoms) == 9:
            raise RuntimeError("wrong molecule")
        super().calculate(atoms, list(properties), list(system_changes))


class NotTwo(EMT):
    """Fails where two molecules of these meet."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        if len(atoms) == 9 + 5:
            raise RuntimeError("no density")
        super().calculate(atoms, list(properties), list(system_changes))


class Never(EMT):
    def calculate(self, *args, **kwargs) -> None:
        raise RuntimeError("no licence")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    names = ("CH3CH2OH", "H2O", "CH4", "NH3")
    ase.io.write(tmp_path / "four.xyz", [ase.build.molecule(name) for name in names], format="extxyz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def summary_of(folder):
    return json.loads((folder / "run" / "summary.json").read_text())


def test_what_needs_no_terms_is_answered_and_the_rest_says_why(capsys, folder):
    done = run(capsys, "analyze", "ase.calculators.emt:EMT", "four.xyz", "--questions", QUICK, "--out", "run")
    assert done.code == 0, done.err
    assert "cannot tell" not in done.out.split("species")[1].split("extensivity")[0]
    summary = summary_of(folder)
    outcomes = {verdict["question"]: verdict["outcome"] for verdict in summary["verdicts"]}
    assert outcomes["species"] == outcomes["faithfulness"] == "not applicable"
    found = next(v for v in summary["verdicts"] if v["question"] == "extensivity")["findings"]
    assert [f["outcome"] for f in found][-2:] == ["not applicable"] * 2
    # Two molecules far apart: EMT ends at a cutoff, so that energies add to rounding.
    assert found[0]["effect"]["value"] > 10.0
    assert summary["forces"]["consistent"]
    assert summary["model"]["has_terms"] is False
    assert summary["model"]["cutoff_angstrom"] is None
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert "match energies" in page
    assert "not applicable" in page
    tables = {name: pl.read_parquet(f"run/tables/{name}.parquet") for name in ("frames", "pairs", "skipped")}
    assert tables["frames"]["formula"].to_list() == ["C2H6O", "H2O", "CH4", "H3N"]
    assert len(tables["skipped"]) == 0
    assert set(tables["pairs"]["relation"]) >= {"1-2", "1-3"}


def test_forces_that_do_not_match_energies_are_a_warning_everywhere(capsys, folder):
    done = run(
        capsys,
        "analyze",
        "test_cli_calculators:WrongForces",
        "four.xyz",
        "--trust",
        "--questions",
        "species",
        "-o",
        "run",
    )
    assert done.code == 0, done.err
    assert "warning: forces do not match energies: they differ by up to 0.05 eV/Å" in done.out.replace("\n", " ")
    summary = summary_of(folder)
    assert not summary["forces"]["consistent"]
    assert summary["forces"]["largest"] == pytest.approx(0.05, rel=0.01)
    assert len(summary["warnings"]) == 1
    assert "do not match energies" in (folder / "run" / "report.html").read_text("utf-8")


def test_a_calculator_that_needs_a_cell_gets_a_box(capsys, folder):
    name = "test_cli_calculators:NeedsCell"
    common = ("analyze", name, "four.xyz", "--trust", "--questions", "extensivity", "--out", "run")
    none = run(capsys, *common)
    assert none.code == 2
    assert "a cell is needed" in none.err
    small = run(capsys, *common, "--box", "20")
    assert small.code == 2
    assert "or more" in small.err
    assert left_over(folder) == []
    done = run(capsys, *common, "--box", "40")
    assert done.code == 0, done.err
    summary = summary_of(folder)
    assert summary["options"]["box"] == 40.0
    assert "40 Å" in summary["model"]["card"]["box"]
    assert "cubic periodic cell of 40 Å" in (folder / "run" / "report.html").read_text("utf-8")


def test_structures_that_fail_are_skipped_and_a_calculator_that_always_fails_is_refused(capsys, folder):
    common = ("four.xyz", "--trust", "--questions", "species", "--out", "run")
    done = run(capsys, "analyze", "test_cli_calculators:OnlySmall", *common)
    assert done.code == 0, done.err
    summary = summary_of(folder)
    assert (summary["n_structures"], summary["n_skipped"]) == (3, 1)
    assert "wrong molecule" in pl.read_parquet("run/tables/skipped.parquet")["reason"][0]
    never = run(capsys, "analyze", "test_cli_calculators:Never", *common[:-1], "other")
    assert never.code == 2
    assert "none of 4 structures has an energy; the first: " in never.err
    assert "no licence" in never.err
    assert not (folder / "other").exists()


def test_geometries_that_fail_within_a_question_are_left_out_and_counted(capsys, folder):
    ase.io.write(folder / "two.xyz", [ase.build.molecule(name) for name in ("CH3CH2OH", "CH4")], format="extxyz")
    options = ("--trust", "--questions", "extensivity", "--out", "run")
    arguments = ("analyze", "test_cli_calculators:NotTwo", "two.xyz", *options)
    done = run(capsys, *arguments)
    assert done.code == 0, done.err
    count = pl.read_parquet("run/questions/extensivity/failures.parquet")["count"].item()
    summary = summary_of(folder)
    (warning,) = summary["warnings"]
    assert warning.startswith(f"extensivity: {count} geometries")
    assert warning.endswith("(test_cli_calculators:NotTwo failed (RuntimeError: no density))")
    assert f"warning: extensivity: {count}" in done.out
    assert warning in (folder / "run" / "report.html").read_text("utf-8")
    assert summary["verdicts"][0]["outcome"] == "cannot tell"
    again = run(capsys, *arguments, "--overwrite")  # the file is known as ours
    assert again.code == 0, again.err


@pytest.mark.parametrize("command", ["check", "response"])
def test_a_calculator_that_raises_is_bad_input_for_every_command(capsys, folder, command):
    done = run(capsys, command, "test_cli_calculators:Never", "four.xyz", "--trust", "--out", "run", *FRAME[command])
    assert done.code == 2
    assert done.err == "atomlens: test_cli_calculators:Never failed (RuntimeError: no licence)\n"
    assert left_over(folder) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("test_cli_calculators:OnlySmall",), "outside of the installed packages"),
        (("ase.calculators.emt:EMT", "--unit", "eV"), "--unit eV is for models"),
        (("ase.calculators.emt:EMT", "--rule", "gamma"), "--rule gamma is for models"),
        (("ase.calculators.emt:EMT", "--product-rule", "full"), "--product-rule full is for models"),
        (("ase.calculators.emt:EMT", "--kwargs", "{"), "is not JSON"),
        (("ase.calculators.emt:EMT", "--box", "0"), "not a number above 0"),
        (("ase.calculators.emt:Nothing",), "has no Nothing"),
        (("zoo:qm9-u0-painn", "--box", "30"), "--box 30.0 is for ASE calculators"),
        (("zoo:qm9-u0-painn", "--kwargs", "{}"), "--kwargs {} is for ASE calculators"),
        (("ase.calculators.emt:EMT", "--scans", "nowhere"), "no such file or folder"),
    ],
)
def test_bad_input_is_one_line(capsys, folder, arguments, said):
    done = run(capsys, "analyze", arguments[0], "four.xyz", *arguments[1:], "--questions", "species", "--out", "run")
    assert done.code == 2
    assert said in done.err
    assert left_over(folder) == []
