from __future__ import annotations

import json

import ase.build
import ase.io
import polars as pl
import pytest
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from cli_samples import left_over, run, write_inputs

pytestmark = pytest.mark.usefixtures("rough_pictures")


class NoForces(Calculator):
    implemented_properties = ["energy"]  # noqa: RUF012


class NoLicence:
    def __init__(self) -> None:
        raise RuntimeError("no licence")


class OnlyEthanol(LennardJones):
    def calculate(self, atoms=None, *args, **kwargs):
        if len(atoms) != 9:
            raise RuntimeError("wrong molecule")
        super().calculate(atoms, *args, **kwargs)


NUMBER = 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_inputs(tmp_path)
    ase.io.write(tmp_path / "two.xyz", [ase.build.molecule("CH3CH2OH"), ase.build.molecule("H2O")])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_model(capsys, folder):
    outcome = run(capsys, "response", "model.safetensors", "ethanol.xyz", "--out", "run")
    assert outcome.code == 0, outcome.err
    table = pl.read_parquet("run/couplings.parquet")
    assert table.columns[:6] == ["frame", "atom_1", "atom_2", "element_1", "element_2", "distance"]
    assert len(table) == 36
    assert set(table["bond"]) == {"single", "none"}
    assert (table["coupling"] > 0).any()
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["frames"][0]["asymmetry"] < 1e-12 * summary["frames"][0]["largest"]
    # The largest of the pairs, not the stiffness of an atom itself, which is larger.
    assert summary["frames"][0]["largest"] == pytest.approx(table["coupling"].max())
    assert summary["how"] == "automatic differentiation"
    assert set(summary["columns"]) == set(table.columns)
    assert (folder / "run" / "couplings.png").stat().st_size > 10_000
    assert "holds an earlier run" in run(capsys, "response", "model.safetensors", "ethanol.xyz", "--out", "run").err
    again = run(capsys, "response", "model.safetensors", "ethanol.xyz", "--out", "run", "--overwrite")
    assert again.code == 0


@pytest.mark.slow
def test_gfn2(capsys, folder):
    pytest.importorskip("tblite", reason="needs the extra xtb")
    outcome = run(capsys, "response", "gfn2", "two.xyz", "--out", "run", "--frames", "1")
    assert outcome.code == 0, outcome.err
    table = pl.read_parquet("run/couplings.parquet")
    assert table.filter(pl.col("element_1") == "O")["coupling"].min() > 20  # O-H bonds, eV/Å^2
    # One electron too many or too few.
    outcome = run(capsys, "response", "gfn2", "two.xyz", "--kwargs", '{"charge": 1}', "--out", "run2")
    assert outcome.code == 2
    assert "electrons do not go with 0 unpaired" in outcome.err
    assert left_over(folder) == ["run"]


def test_gfn2_takes_unpaired_electrons_from_a_smiles_string(capsys, folder):
    pytest.importorskip("tblite", reason="needs the extra xtb")
    outcome = run(capsys, "response", "gfn2", "[CH3]", "--out", "run")
    assert outcome.code == 0, outcome.err
    outcome = run(capsys, "response", "gfn2", "[CH3]", "--kwargs", '{"uhf": 0}', "--out", "run2")
    assert outcome.code == 2
    assert "9 electrons do not go with 0 unpaired ones; give uhf=1 for a radical" in outcome.err


@pytest.mark.slow
def test_a_calculator_by_import_path(capsys, folder):
    outcome = run(
        capsys, "response", "ase.calculators.lj:LennardJones", "ethanol.xyz", "--kwargs", '{"rc": 9}', "--out", "run"
    )
    assert outcome.code == 0, outcome.err
    assert "step 0.01 Å" in outcome.out


def test_one_structure_that_fails_leaves_the_others(capsys, folder):
    outcome = run(capsys, "response", "test_cli_response:OnlyEthanol", "two.xyz", "--trust", "--out", "run")
    assert outcome.code == 0, outcome.err
    assert "1 of 2 structures" in outcome.out
    assert "frame 1: cannot tell" in outcome.out
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert "wrong molecule" in summary["frames"][1]["unavailable"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["test_cli_response:NoForces"], "has no forces"),
        (["test_cli_response:NoLicence"], "no licence"),
        (["test_cli_response:NUMBER"], "gives a int, which is no ASE calculator"),
        (["test_cli_response:nothing"], "has no nothing"),
        (["no_such_module.x:Y"], "cannot be imported"),
        (["zoo:nope"], "no model of that name"),
        (["nofile"], "package.module:Class"),
        (["test_cli_response:NoForces", "--kwargs", "{"], "is not JSON"),
        (["test_cli_response:NoForces", "--kwargs", "[1]"], "is not a JSON object"),
        (["ase.calculators.lj:LennardJones", "--step", "-1"], "not a number above 0"),
        (["model.safetensors", "--step", "0.1"], "--step 0.1 is for ASE calculators"),
        (["model.safetensors", "--kwargs", "{}"], "--kwargs {} is for ASE calculators"),
        (["gfn2", "--step", "0.1"], "--step does not go with gfn2"),
        (["gfn2", "--kwargs", '{"z": 1}'], "gfn2 takes whole numbers"),
    ],
)
def test_bad_input(capsys, folder, arguments, words):
    outcome = run(capsys, "response", arguments[0], "ethanol.xyz", "--trust", "--out", "run", *arguments[1:])
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert left_over(folder) == []


def test_modules_outside_of_installed_packages_need_trust(capsys, folder):
    (folder / "mine.py").write_text("open('ran', 'w').close()\n")
    for name in ("mine:Calculator", "mine.sub:Calculator", "test_cli_response:OnlyEthanol"):
        outcome = run(capsys, "response", name, "ethanol.xyz", "--out", "run")
        assert outcome.code == 2
        assert "outside of the installed packages" in outcome.err
        assert "--trust" in outcome.err
    assert not (folder / "ran").exists()
    assert left_over(folder) == []


def test_help_says_that_import_paths_run_code(capsys, folder):
    assert "run code" in run(capsys, "response", "--help").out


def test_the_page_says_what_responds_and_how_far(capsys, folder):
    outcome = run(
        capsys, "response", "ase.calculators.lj:LennardJones", "two.xyz", "--kwargs", '{"rc": 9}', "--out", "run"
    )
    assert outcome.code == 0, outcome.err
    assert "report: run/report.html" in outcome.out
    page = (folder / "run" / "report.html").read_text("utf-8")
    table = pl.read_parquet("run/couplings.parquet")
    best = table.filter(pl.col("frame") == 0).sort("coupling", descending=True).row(0, named=True)
    assert (
        f"{best['element_1']}{best['atom_1']}\u2013{best['element_2']}{best['atom_2']}: {best['coupling']:.3g} eV/Å²"
        in page
    )
    # 95 % of the summed coupling, by walking outwards pair by pair.
    total, summed, reach = table["coupling"].sum(), 0.0, None
    for row in table.sort("distance").iter_rows(named=True):
        summed += row["coupling"]
        if summed >= 0.95 * total:
            reach = row["distance"]
            break
    assert f"Pairs closer than {reach:.1f} Å carry 95 %" in page
    assert "H2O" in page
