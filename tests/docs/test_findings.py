"""Tables and figures of the findings page come out of runs."""

from __future__ import annotations

import json
from types import ModuleType

import ase.build
import pytest
from scripts import ROOT, load_script

from atomlens import InputError
from atomlens.analyses.questions import chosen_questions
from atomlens.runs.analysis import AnalysisOptions, run_analysis
from samples import small_model

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def findings() -> ModuleType:
    return load_script(DOCS / "findings.py", "findings")


@pytest.fixture(scope="module")
def runs(findings, tmp_path_factory):
    """Two models; only the first was asked about species."""
    home = tmp_path_factory.mktemp("runs")
    molecules = [ase.build.molecule(name) for name in ("H2O", "CH3OH")]
    options = AnalysisOptions(chosen_questions("species"))
    for name in ("first", "second"):
        run_analysis(small_model(), name, molecules, "two molecules", home / name, options, command=f"atomlens {name}")
    summary = json.loads((home / "second" / "summary.json").read_text())
    (home / "second" / "summary.json").write_text(json.dumps({**summary, "verdicts": []}))
    return [findings.read_run(home / name) for name in ("first", "second")]


def test_numbers_are_those_of_the_summary(findings, runs):
    text = findings.section(runs, "species", {"first": "findings/first-species.svg"})
    header, _, *rows = [line for line in text.split("\n") if line.startswith("|")]
    assert header == "| claim | first |"  # the second did not ask
    told = runs[0].summary["verdicts"][0]["findings"]
    assert len(rows) == len(told) > 3
    details = [line for line in text.split("\n") if line.startswith("    | first |")]
    for row, detail, finding in zip(rows, details, told, strict=True):
        assert finding["claim"] in row
        assert f"**{finding['outcome']}**" in row
        assert finding["sentence"].replace("<", "&lt;") in detail
        for control in finding["controls"]:
            assert control["name"] in detail
    assert "    ![species, first](findings/first-species.svg)" in text
    assert "atomlens first\natomlens second\n" in findings.overview(runs)
    assert findings.section(runs, "decay", {}) == "*No run asked this question.*"


def test_a_finding_at_a_glance_and_in_full(findings):
    effect = {"name": "r", "value": -0.5, "low": -0.625, "high": None, "n": 7, "unit": "eV"}
    finding = {"outcome": "deviates", "effect": effect, "sentence": "a < b", "controls": [{"name": "c", "value": None}]}
    assert findings._glance(finding) == "**deviates**<br>−0.5 eV"
    assert findings._glance(finding | {"effect": None}) == "**deviates**"
    assert findings._row(finding) == "deviates | a &lt; b | c: none"


def test_a_figure_is_drawn_again_alike(findings, runs, tmp_path):
    address = findings.draw(runs[0], "species", tmp_path / "pictures")
    assert address == "pictures/first-species.svg"
    first = (tmp_path / address).read_bytes()
    findings.draw(runs[0], "species", tmp_path / "pictures")
    assert (tmp_path / address).read_bytes() == first
    assert findings.draw(runs[0], "decay", tmp_path) is None


def test_only_what_is_between_the_marks_changes(findings):
    page = "before\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\nafter\n"
    page = findings.filled(page, {"a": r"new \1", "b": "text"})
    assert page == "before\n<!-- a -->\n\nnew \\1\n\n<!-- /a -->\nbetween\n<!-- b -->\n\ntext\n\n<!-- /b -->\nafter\n"
    assert findings.filled(page, {"a": r"new \1", "b": "text"}) == page
    with pytest.raises(InputError, match="0 pairs of marks for 'c'"):
        findings.filled(page, {"c": "x"})


def test_the_page_has_marks_for_every_question(findings):
    page = (DOCS / "findings.md").read_text("utf-8")
    findings.filled(page, dict.fromkeys(("runs", *(question.slug for question in chosen_questions("all"))), ""))


def test_folders_without_verdicts_are_refused(findings, tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        findings.read_run(tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(InputError, match="no verdicts"):
        findings.read_run(tmp_path)
