"""Analyses side by side: findings are those of the runs, and what differs between the runs is told."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import ase.build
import polars as pl
import pytest
from browser import CHROMIUM
from report_samples import HOSTILE

from atomlens import InputError
from atomlens.analyses import AnalysedRun, DecayRange, Question
from atomlens.analyses.findings import finding_lines
from atomlens.analyses.questions import chosen_questions
from atomlens.cli import main
from atomlens.runs.analysis import AnalysisOptions, run_analysis
from atomlens.runs.verdicts import SCHEMA, _ranges, all_analyses, compare_verdicts, verdicts_summary, write_verdicts
from samples import small_model

pytestmark = pytest.mark.usefixtures("rough_pictures")

MOLECULES = [ase.build.molecule(name) for name in ("H2O", "CH3OH", "C2H4")]


def make_run(folder, name, structures=MOLECULES, questions="species", **options):
    model = small_model("painn" if "painn" in name else "schnet", cutoff=3.0)
    asked = AnalysisOptions(chosen_questions(questions), max_order=2, **options)
    run_analysis(model, f"zoo:{name}", structures, "three.xyz", folder, asked)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    return [make_run(home / "a", "painn"), make_run(home / "b", "schnet")]


def edit(folder, **changes):
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def copied(run, folder, **changes):
    return edit(shutil.copytree(run, folder), **changes)


def test_findings_are_those_of_the_runs(runs, tmp_path):
    comparison = compare_verdicts(runs)
    summary = write_verdicts(tmp_path, comparison, command="atomlens compare a b")
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert (summary["schema"], summary["same_structures"]) == (SCHEMA, True)
    assert {name: model["n_sampled"] for name, model in summary["models"].items()} == {"painn": 3, "schnet": 3}
    table = pl.read_parquet(tmp_path / "verdicts.parquet")
    assert table.columns[:4] == ["model", "question", "claim", "outcome"]
    page = (tmp_path / "report.html").read_text()
    assert "Different" not in page
    assert page.count("data:image/svg+xml;base64,") == 2
    for name, run in zip(("painn", "schnet"), runs, strict=True):
        (verdict,) = json.loads((run / "summary.json").read_text())["verdicts"]
        assert summary["questions"]["species"]["outcomes"][name] == verdict["outcome"]
        assert len(verdict["findings"]) == table.filter(pl.col("model") == name).height
        for finding, claim in zip(verdict["findings"], summary["questions"]["species"]["claims"], strict=True):
            assert claim["findings"][name] == finding
            row = table.row(by_predicate=(pl.col("model") == name) & (pl.col("claim") == finding["claim"]), named=True)
            effect = finding["effect"] or dict.fromkeys(("value", "low", "high", "n", "unit"))
            assert {key: row[key] for key in ("value", "low", "high", "n", "unit")} == {
                key: effect[key] for key in ("value", "low", "high", "n", "unit")
            }
            assert [row[key] for key in ("outcome", "threshold", "sentence")] == [
                finding[key] for key in ("outcome", "threshold", "sentence")
            ]
            for line in finding_lines(finding):
                assert line in page


def test_an_older_run_that_stored_no_expectation_says_so(runs):
    verdicts = json.loads((runs[0] / "summary.json").read_text())["verdicts"]
    finding = next(f for verdict in verdicts for f in verdict["findings"] if f["effect"] and f["allowed"])
    older = {key: value for key, value in finding.items() if key != "allowed"}
    assert f"expected: {finding['allowed']}" in finding_lines(finding)
    line = next(line for line in finding_lines(older) if "expected" in line)
    assert line.endswith("analyze again")
    assert not any("compared with" in line for line in finding_lines(older))


def test_structures_are_the_same_however_they_were_read(runs, tmp_path):
    assert compare_verdicts(runs).differing == ""
    again = copied(runs[1], tmp_path / "again")
    (again / "tables" / "survey.json").unlink()
    assert compare_verdicts([runs[0], again]).differing == ""
    shutil.rmtree(again / "tables")
    assert "is not known" in compare_verdicts([runs[0], again]).differing


@pytest.mark.slow
@pytest.mark.usefixtures("few_assemblies")
def test_different_structures_are_told(runs, tmp_path):
    moved = [atoms.copy() for atoms in MOLECULES]
    moved[2].positions[0, 2] += 0.01
    other = [*MOLECULES[:2], ase.build.molecule("HCOOH")]
    cases = (
        (moved, "up to 0.01 Å apart"),
        (other, "different numbers of atoms"),
        (MOLECULES[::-1], "different molecules, or in another order"),
        (MOLECULES[:2], "3 structures were explained in one run, 2 in the other"),
    )
    for number, (structures, said) in enumerate(cases):
        comparison = compare_verdicts([runs[0], make_run(tmp_path / f"{number}", "schnet", structures)])
        assert said in comparison.differing
        assert not verdicts_summary(comparison)["same_structures"]
    write_verdicts(tmp_path, comparison)
    assert "<b>Different structures.</b>" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("few_assemblies")
def test_a_different_number_of_judged_structures_is_told(runs, tmp_path):
    fewer = make_run(tmp_path / "fewer", "schnet", sample=2)
    assert compare_verdicts([runs[0], fewer]).differing == "3 of them are judged for painn, 2 for schnet."
    write_verdicts(tmp_path, compare_verdicts([runs[0], fewer]))
    assert "2 judged of 3 structures" in (tmp_path / "report.html").read_text()


def test_different_questions_properties_and_rules_are_told(runs, tmp_path):
    options = json.loads((runs[1] / "summary.json").read_text())["options"]
    unasked = copied(runs[1], tmp_path / "none", verdicts=[], property="HOMO", options=options | {"rule": "gamma"})
    comparison = compare_verdicts([runs[0], unasked])
    summary = write_verdicts(tmp_path, comparison)
    assert summary["questions"]["species"]["outcomes"]["schnet"] is None
    page = (tmp_path / "report.html").read_text()
    for word in ("not asked", "Different questions", "Different properties", "Different rules"):
        assert word in page
    assert page.count("data:image/svg+xml;base64,") == 1


def test_models_of_one_name_are_told_apart_by_their_folders(runs, tmp_path):
    comparison = compare_verdicts([runs[0], copied(runs[0], tmp_path / "later")])
    assert [run.name for run in comparison.runs] == ["painn (a)", "painn (later)"]


def test_a_picture_that_cannot_be_drawn_is_told(runs, tmp_path):
    torn = copied(runs[1], tmp_path / "torn")
    (torn / "questions" / "species" / "result.json").write_text("{")
    write_verdicts(tmp_path, compare_verdicts([runs[0], torn]))
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 1
    assert "No picture: " in page


def test_other_versions_are_refused(runs, tmp_path):
    with pytest.raises(InputError, match="another version"):
        compare_verdicts([runs[0], copied(runs[1], tmp_path / "spoilt", schema=99)])
    with pytest.raises(InputError, match="at least two"):
        compare_verdicts(runs[:1])


def test_explanations_and_verdicts_do_not_mix(runs, tmp_path, capsys):
    (tmp_path / "explained").mkdir()
    (tmp_path / "explained" / "summary.json").write_text(json.dumps({"frames": []}))
    assert all_analyses(runs)
    for folders in ([runs[0], tmp_path / "explained"], [tmp_path / "explained", runs[0]], [runs[0], tmp_path / "no"]):
        with pytest.raises(SystemExit) as end:
            main(["compare", *map(str, folders), "--out", str(tmp_path / "both")])
        assert end.value.code == 2
        said = capsys.readouterr().err
        assert "is a run of atomlens analyze and" in said
        assert said.count("\n") == 1
    assert not (tmp_path / "both").exists()


def test_the_command_says_and_writes_it(runs, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["compare", *map(str, runs), "--out", str(tmp_path / "both")])
    assert not end.value.code
    said = capsys.readouterr().out
    for word in ("painn", "schnet", "species", "report.html"):
        assert word in said
    written = {path.name for path in (tmp_path / "both").iterdir()}
    assert written == {".atomlens.json", "report.html", "summary.json", "verdicts.parquet"}
    with pytest.raises(SystemExit) as end:  # what compare wrote is no run
        main(["compare", str(runs[0]), str(tmp_path / "both"), "--out", str(tmp_path / "more")])
    assert end.value.code == 2


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_opens_quietly_and_nothing_is_markup(runs, tmp_path, browser):
    verdicts = json.loads((runs[1] / "summary.json").read_text())["verdicts"]
    verdicts[0]["findings"][0] |= {"claim": HOSTILE, "sentence": HOSTILE, "reference": HOSTILE}
    hostile = copied(runs[1], tmp_path / "hostile", verdicts=verdicts, structures=HOSTILE, property=HOSTILE)
    write_verdicts(tmp_path, compare_verdicts([runs[0], hostile]), command=HOSTILE)
    browser.load(tmp_path / "report.html", settle=0.3)
    assert browser.errors == []
    assert browser.requests == []
    assert browser.run("[...document.images].every((i) => i.complete && i.naturalWidth > 100)")
    assert browser.run("document.images.length") == 2
    assert browser.run("document.querySelectorAll('table.claims thead th').length") == 3
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")


@dataclass(frozen=True)
class Ranged(AnalysedRun):
    """A run whose decay was judged up to its name's distance."""

    def verdict(self, slug: str) -> dict[str, Any] | None:
        return {"question": slug}

    def result(self, question: Question) -> Any:
        high = float(self.name)
        return SimpleNamespace(range=DecayRange("energy", "eV", True, high + 0.5, False, 9.0, 9.0, "", 2.5, high, 3))


def test_decay_over_different_distances_is_told(tmp_path):
    made = [Ranged(tmp_path, {}, name) for name in ("5.5", "3.5", "5.5")]
    assert _ranges(made[::2]) == ""
    said = _ranges(made)
    assert "from 2.5 to 5.5 Å for 5.5 and from 2.5 to 3.5 Å for 3.5" in said
    assert "--distances 2.5:3.5" in said
