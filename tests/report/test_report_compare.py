"""Runs side by side: numbers are those of the runs, the page opens quietly, and what cannot be compared is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
from browser import CHROMIUM
from report_samples import HOSTILE, ethanol, two_waters

from atomlens import InputError, explain
from atomlens.cli.compare import show_comparison
from atomlens.folders import RunFolder
from atomlens.report.compare_page import compare_html
from atomlens.runs import write_run
from atomlens.runs.compare_run import write_comparison
from atomlens.runs.explaining import explained_frames
from atomlens.structures import perceive_bonds
from atomlens.surveys.comparison import PAIR_KINDS, compare_runs, correlation, kind_strengths
from atomlens.tables import RunInfo
from samples import small_model

MODELS = {"painn": small_model("painn", cutoff=3.0), "schnet": small_model("schnet", cutoff=2.2)}
STRUCTURES = [ethanol(), two_waters()]


def make_run(folder, name, structures=STRUCTURES, max_order=3, model_path=None):
    model = MODELS[name]
    frames = explained_frames(model, structures, max_order=max_order)
    with RunFolder(folder) as run:
        write_run(run, frames, len(structures), RunInfo(model_path or f"{name}.safetensors", "two.xyz", model.facts))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / name, name) for name in MODELS]


def test_terms_are_those_of_the_models(runs):
    comparison = compare_runs(runs)
    assert [run.name for run in comparison.runs] == list(MODELS)
    for number, model in enumerate(MODELS.values()):
        for frame, atoms in enumerate(STRUCTURES):
            terms = explain(model, atoms).interactions(max_order=2).order(2)
            expected = {tuple(pair): value for pair, value in zip(terms.atoms.tolist(), terms.relevance, strict=True)}
            rows = comparison.pairs.filter(pl.col("frame") == frame)
            found = {(i, j): v for i, j, v in rows.select("atom_1", "atom_2", f"term_{number}").iter_rows()}
            assert {pair for pair, v in found.items() if v is not None} == set(expected)
            for pair, value in expected.items():
                assert found[pair] == pytest.approx(value, rel=1e-12)
    # SchNet sees less far: some pairs are PaiNN's alone, and count as zero.
    assert comparison.pairs["term_1"].null_count() > 0
    assert comparison.pairs["term_0"].null_count() == 0
    assert (comparison.terms()[comparison.pairs["term_1"].is_null().to_numpy(), 1] == 0).all()


def test_kinds_are_bonds_first():
    assert PAIR_KINDS[:5] == ("triple", "double", "aromatic", "single", "unknown")
    assert PAIR_KINDS[5:] == ("1-3", "1-4", "further", "other molecule")


def test_strengths_by_kind_against_a_plain_loop(runs):
    comparison = compare_runs(runs)
    found = {entry["kind"]: entry for entry in kind_strengths(comparison)}
    assert sum(entry["count"] for entry in found.values()) == comparison.pairs.height
    strengths = []
    for atoms in STRUCTURES:
        terms = explain(MODELS["painn"], atoms).interactions(max_order=2).order(2)
        bonded = set(map(tuple, perceive_bonds(atoms).pairs.tolist()))
        pairs = zip(terms.atoms.tolist(), terms.relevance, strict=True)
        strengths += [abs(r) for pair, r in pairs if tuple(pair) in bonded]
    assert found["single"]["count"] == len(strengths)
    assert found["single"]["strength"][0] == pytest.approx(np.mean(strengths))


def test_correlation_is_told_only_where_there_is_one():
    assert correlation(np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0])) == pytest.approx(1.0)
    assert correlation(np.array([1.0, 2.0, 4.0]), -np.array([1.0, 2.0, 4.0])) == pytest.approx(-1.0)
    assert correlation(np.ones(2), np.arange(2.0)) is None
    assert correlation(np.ones(5), np.arange(5.0)) is None


def test_tables_name_the_model(runs, tmp_path):
    comparison = compare_runs(runs)
    summary = write_comparison(tmp_path, comparison)
    for name in ("atoms", "pairs", "triples", "walks"):
        table = pl.read_parquet(tmp_path / f"{name}.parquet")
        parts = [pl.read_parquet(run / f"{name}.parquet") for run in runs]
        assert table.height == sum(part.height for part in parts)
        for model, part in zip(MODELS, parts, strict=True):
            assert table.filter(pl.col("model") == model).drop("model").select(part.columns).equals(part)
    assert json.loads((tmp_path / "summary.json").read_text())["models"].keys() == MODELS.keys()
    for number, entry in enumerate(summary["frames"]):
        for name, model in MODELS.items():
            assert entry["prediction"][name] == pytest.approx(explain(model, STRUCTURES[number]).prediction)
        here = comparison.terms(comparison.pairs.filter(pl.col("frame") == number))
        assert entry["pairs_correlation"]["schnet"] == pytest.approx(np.corrcoef(here.T)[0, 1])


def test_one_model_twice_is_told_apart(runs, tmp_path):
    comparison = compare_runs([runs[0], runs[0]])
    assert len({run.name for run in comparison.runs}) == 2
    assert correlation(*comparison.terms().T) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: shutil.rmtree(f), "no run there"),
        (lambda f: (f / "summary.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "summary.json").write_text("[]"), "holds a list, not an object"),
        (lambda f: (f / "pairs.parquet").unlink(), "has no table of pairs"),
        (lambda f: (f / "pairs.parquet").write_bytes(b"PAR1"), r"pairs.parquet: damaged"),
        (lambda f: edit(f, schema=0), "another version"),
        (lambda f: edit(f, unit="D"), "no column relevance_D"),
        (lambda f: edit(f, frames=[]), "not a run"),
    ],
)
def test_a_folder_that_is_no_run(runs, tmp_path, spoil, said):
    shutil.copytree(runs[1], tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    with pytest.raises(InputError, match=said) as error:
        compare_runs([runs[0], tmp_path / "spoilt"])
    assert "spoilt" in str(error.value)
    assert "\n" not in str(error.value)


def edit(folder, **changes):
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_runs_that_do_not_belong_together(runs, tmp_path):
    with pytest.raises(InputError, match="at least two runs"):
        compare_runs(runs[:1])
    moved = [atoms.copy() for atoms in STRUCTURES]
    moved[0].positions[0, 0] += 0.01
    with pytest.raises(InputError, match=r"different structures \(atoms lie up to 0\.01 Å apart\)"):
        compare_runs([runs[0], make_run(tmp_path / "moved", "schnet", moved)])
    with pytest.raises(InputError, match="different structures"):
        compare_runs([runs[0], make_run(tmp_path / "fewer", "schnet", STRUCTURES[:1])])
    with pytest.raises(InputError, match="orders up to 2 and 3"):
        compare_runs([runs[0], make_run(tmp_path / "pairs", "schnet", max_order=2)])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_opens_quietly_and_answers(runs, tmp_path, browser):
    hostile = [ethanol(name=HOSTILE), two_waters()]
    folders = [make_run(tmp_path / f"{name}-run", name, hostile, model_path=HOSTILE) for name in MODELS]
    page = tmp_path / "compare.html"
    page.write_text(compare_html(compare_runs(folders), tmp_path, command=HOSTILE, tables=["pairs"]), encoding="utf-8")
    browser.load(page, settle=0.3)
    assert browser.errors == []
    assert browser.requests == []
    assert browser.run("document.images.length") == 0
    assert browser.run("document.querySelectorAll('#glance .row').length") == 3
    assert browser.run("document.querySelectorAll('#glance svg').length") == 4
    attributes = "[...document.querySelectorAll('svg *')].flatMap((e) => [...e.attributes])"
    assert browser.run(f"{attributes}.filter((a) => /NaN|undefined/.test(a.value)).length") == 0
    first = browser.run("document.getElementById('pair-rows').textContent")
    pairs = compare_runs(folders).pairs.filter(pl.col("frame") == 0)
    bonds = pairs["distance"].to_numpy() < 1.6
    terms = pairs.select(pl.col("term_0", "term_1").fill_null(0.0)).to_numpy()
    told = [f"r = {np.corrcoef(terms[part].T)[0, 1]:.3f}".replace("-", "−") for part in (bonds | True, bonds, ~bonds)]
    agreement = browser.run("document.getElementById('agreement').textContent")
    assert agreement == f"{told[0]}; among bonds alone {told[1]}, among other pairs {told[2]}"
    browser.run("document.querySelector('[data-frame-row=\"1\"]').click()")
    assert browser.run("document.getElementById('one-name').textContent") == "H4O2"
    assert browser.run("document.getElementById('pair-rows').textContent") != first
    assert browser.run("document.querySelectorAll('#pictures .term').length") >= 4
    links = browser.run("[...document.querySelectorAll('dd a')].map((a) => a.getAttribute('href'))")
    assert links == ["painn-run/report.html", "schnet-run/report.html"]
    assert browser.errors == []
    assert browser.requests == []


def test_the_command_says_and_writes_it(runs, tmp_path, capsys):
    from atomlens.cli import main

    with pytest.raises(SystemExit) as end:
        main(["compare", *map(str, runs), "--out", str(tmp_path / "both")])
    assert not end.value.code
    said = capsys.readouterr().out
    for word in ("painn", "schnet", "C2H6O", "single", "report.html"):
        assert word in said
    assert (tmp_path / "both" / "report.html").is_file()


def test_four_models_are_rows_where_their_columns_do_not_fit(tmp_path, capsys, monkeypatch):
    names = ["a-painn-organic-x", "a-schnet-organic-x", "c-painn-organic-x", "d-schnet-organic-x"]
    kinds = ["painn", "schnet", "painn", "schnet"]
    folders = [
        make_run(tmp_path / name, kind, max_order=2, model_path=f"{name}.safetensors")
        for name, kind in zip(names, kinds, strict=True)
    ]
    monkeypatch.setenv("COLUMNS", "80")
    show_comparison(compare_runs(folders))
    said = capsys.readouterr().out
    assert "…" not in said
    assert "r with a-painn-organic-x" in said
    for name in names[1:]:
        (first, *_) = (line.split() for line in said.splitlines() if line.split()[:1] == [name])
        assert len(first) == 3  # name, prediction, r
    monkeypatch.setenv("COLUMNS", "300")
    show_comparison(compare_runs(folders))
    wide = capsys.readouterr().out
    assert "with a-painn-organic-x" in wide
    assert "r d-schnet-organic-x" in wide
