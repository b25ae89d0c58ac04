"""`atomlens explain` from files to a folder; and the other things that the command says."""

import json
import subprocess
import sys
from pathlib import Path

import ase.build
import ase.io
import polars as pl
import pytest
from cli_samples import run, write_inputs

import atomlens
from atomlens.cli.analyze import _product_rule
from atomlens.cli.options import ProductRuleName
from atomlens.folders import open_run
from samples import small_model

pytestmark = pytest.mark.smoke


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a model and ethanol, which is where the command runs."""
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_from_files_to_folder(here, capsys):
    done = run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--out", "run")
    assert (done.code, done.err) == (0, "")
    for said in ("C2H6O", "strongest of", "eV", "residual", "run/report.html", "triples", "single"):
        assert said in done.out
    summary = json.loads((here / "run" / "summary.json").read_text())
    model, atoms = atomlens.load_model("model.safetensors"), ase.io.read("ethanol.xyz")
    ex = atomlens.explain(model, atoms)
    assert summary["frames"][0]["prediction"] == pytest.approx(ex.prediction, rel=1e-12)
    pairs = pl.read_parquet(here / "run" / "pairs.parquet")
    assert pairs["relevance_eV"].to_list() == pytest.approx(ex.interactions(max_order=2).order(2).relevance.tolist())
    assert summary["options"]["max_order"] == 3
    assert summary["model"]["elements"] == ["H", "C", "O"]


def test_the_first_line_names_the_model_and_nothing_is_left_unexplained(here, capsys):
    done = run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--max-order", 2, "--out", "run")
    assert done.out.splitlines()[0].endswith(" eV by model.safetensors (PaiNN)")
    assert "rule" not in done.out
    assert "bias walks" not in done.out
    done = run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--rule", "gradient", "--out", "slopes")
    assert "rule gradient: activations replaced by their slope" in done.out


def test_a_table_of_no_pairs_is_left_out(here, capsys):
    ase.io.write("h.xyz", ase.Atoms("H"))
    assert "strongest of" not in run(capsys, "explain", "model.safetensors", "h.xyz", "--out", "h").out
    ase.io.write("h2.xyz", ase.Atoms("H2", [[0, 0, 0], [0.74, 0, 0]]))
    assert "the only pair" in run(capsys, "explain", "model.safetensors", "h2.xyz", "--out", "h2").out


def test_groups_and_every_caution_are_printed(here, capsys):
    water = ase.build.molecule("H2O")
    water.set_cell([2.8, 5.0, 5.0])
    water.pbc = True
    water.info["charge"] = 1
    ase.io.write("w.xyz", water.repeat([2, 1, 1]))
    done = run(capsys, "explain", "model.safetensors", "w.xyz", "--groups", "fragments", "--out", "w")
    assert "H2O #1, H2O #2" in done.out
    assert "three groups or more" in done.out
    # The cutoff is 3 Å: each molecule meets the other on both sides.
    assert "warning: H4O2: atoms meet several images" in done.out
    assert "warning: H4O2: total charge +1 e by the file" in done.out
    (frame,) = json.loads((here / "w" / "summary.json").read_text())["frames"]
    table = pl.read_parquet("w/groups.parquet")
    assert sum(frame["groups"]["totals"]) == pytest.approx(table["relevance_eV"].sum())


def test_the_model_is_optional_and_the_structures_are_not(here, capsys):
    said = " ".join(run(capsys, "explain", "--help").out.split())
    assert "[MODEL] STRUCTURES" in said
    arguments = said.partition(" Arguments ")[2].partition(" Options ")[0]
    assert "Structures, in any format" in arguments
    assert "[required]" not in arguments
    done = run(capsys, "explain", "--out", "run")
    assert (done.code, "no structure was named" in done.err) == (2, True)


def test_options_reach_the_engine(here, capsys):
    frames = [ase.io.read("ethanol.xyz") for _ in range(4)]
    for number, atoms in enumerate(frames):
        atoms.rattle(0.03, seed=number)
    ase.io.write("many.xyz", frames)
    (here / "groups.json").write_text('{"oxygen": [2, 3]}')
    options = ["--rule", "gradient", "--product-rule", "full", "--max-order", 2, "--top-walks", 7, "--dtype", "float32"]
    options += ["--frames", "1::2", "--groups", "groups.json", "--device", "cpu", "--out", "run"]
    done = run(capsys, "explain", "model.safetensors", "many.xyz", *options)
    assert (done.code, done.err) == (0, "")
    assert "first of 2 frames" in done.out
    assert not (here / "run" / "triples.parquet").exists()
    walks = pl.read_parquet(here / "run" / "walks.parquet")
    assert walks.height == 14
    groups = pl.read_parquet(here / "run" / "groups.parquet")
    assert set(groups["group_1"]) == {"oxygen", "other atoms"}
    summary = json.loads((here / "run" / "summary.json").read_text())
    assert (summary["rule"], summary["product_rule"]) == ("gradient", "full")
    ex = atomlens.explain(atomlens.load_model("model.safetensors"), frames[3], rule="gradient", product_rule="full")
    assert summary["frames"][1]["prediction"] == pytest.approx(ex.prediction, rel=1e-4)


def test_a_rule_that_conserves_nothing_says_so(here, capsys):
    done = run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--rule", "published", "--out", "run")
    assert done.code == 0
    summary = json.loads((here / "run" / "summary.json").read_text())
    frame = summary["frames"][0]
    assert abs(frame["residual"]) > 1e-3
    assert (summary["product_rule"], summary["options"]["product_rule"]) == ("scalar", "scalar")
    assert "the rule published conserves nothing" in done.out
    assert "4 atoms or more, and the residual" in done.out
    assert f"residual {abs(frame['residual']):.1e} eV" in done.out
    assert "This rule conserves nothing" in (here / "run" / "report.html").read_text()
    done = run(capsys, "analyze", "model.safetensors", "ethanol.xyz", "--rule", "published", "--out", "verdicts")
    assert done.code == 2
    assert "--rule published conserves nothing" in done.err
    rules = ["--rule", "published", "--product-rule", "full"]
    done = run(capsys, "explain", "model.safetensors", "ethanol.xyz", *rules, "--out", "both")
    assert done.code == 2
    assert "--product-rule full: the rule published" in done.err


@pytest.mark.parametrize("named", ["full", "scalar", None])
def test_a_schnet_takes_either_product_rule(here, capsys, named):
    atomlens.save_model(small_model("schnet"), "schnet.safetensors")
    options = [] if named is None else ["--product-rule", named]
    done = run(capsys, "explain", "schnet.safetensors", "ethanol.xyz", *options, "--max-order", 2, "--out", "run")
    assert (done.code, done.err) == (0, "")
    assert json.loads((here / "run" / "summary.json").read_text())["product_rule"] == (named or "full")


def test_a_run_that_goes_on_keeps_its_product_rule(tmp_path):
    out = tmp_path / "run"
    assert _product_rule(out, None, overwrite=False) == "full"
    with open_run(out, {"product_rule": "scalar"}, ()):  # stopped: there is no summary
        pass
    assert _product_rule(out, None, overwrite=False) == "scalar"
    assert _product_rule(out, ProductRuleName.FULL, overwrite=False) == "full"
    assert _product_rule(out, None, overwrite=True) == "full"


def test_overwrite_replaces_an_earlier_run(here, capsys):
    assert run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--out", "run", "--max-order", 3).code == 0
    done = run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--out", "run", "--max-order", 2, "--overwrite")
    assert done.code == 0
    assert not (here / "run" / "triples.parquet").exists()


def test_parent_folders_are_made(here, capsys):
    assert run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--out", "run/of/today").code == 0
    assert (here / "run" / "of" / "today" / "report.html").is_file()


def test_a_name_with_markup_is_printed_as_it_is(here, capsys):
    atoms = ase.io.read("ethanol.xyz")
    atoms.info["name"] = "[red]x[/red]"
    ase.io.write("named.xyz", atoms, format="extxyz")
    done = run(capsys, "explain", "model.safetensors", "named.xyz", "--out", "run", "--max-order", 1)
    assert done.code == 0
    assert "[red]x[/red]" in done.out


def test_the_version_is_printed(capsys):
    done = run(capsys, "--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("atomlens ")


def test_help_teaches(capsys):
    done = run(capsys, "explain", "--help")
    assert done.code == 0
    for said in ("Examples", "--groups fragments", "report.html", "zoo:NAME", "SchNetPack"):
        assert said in done.out


def test_the_parser_loads_no_heavy_library():
    # The package's own __init__ is left out: what the command's modules import is looked at, and nothing else.
    folder = Path(atomlens.__file__).parent
    code = f"""
import sys, types
package = types.ModuleType("atomlens"); package.__path__ = [{str(folder)!r}]; sys.modules["atomlens"] = package
import atomlens.cli
print([name for name in ("torch", "numpy", "ase", "rdkit", "polars", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_explaining_imports_no_chemiscope_matplotlib_or_scipy(here):
    code = """
import sys
from atomlens.cli import main
try:
    main(["explain", "model.safetensors", "ethanol.xyz", "--out", "run"])
except SystemExit as end:
    assert not end.code
print([name for name in ("matplotlib", "chemiscope", "pandas", "ipywidgets", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
