"""What cannot be told has its reason wherever it is shown: on the terminal, on the page, in the summary."""

import html
import json

import ase.io
import pytest
from ase.build import molecule
from cli_samples import run

from atomlens.analyses import without_question

pytest.importorskip("torch_sim", exc_type=ImportError)

pytestmark = pytest.mark.usefixtures("rough_pictures")
OPEN = "cannot tell"


def plain(text):
    """Text without markup, breaks and the lines that a terminal draws."""
    return " ".join(html.unescape(text).replace("\N{MINUS SIGN}", "-").split())


def unfolded(out):
    """The last column of a table on the terminal, with its lines joined."""
    return "".join(plain(line) for line in out.splitlines()).replace(" ", "")


def says_why(finding):
    """A reason is more than the outcome and the claim over again."""
    said = finding["sentence"].strip()
    return said.endswith(".") and len(said.split()) >= 5 and said not in (finding["claim"], OPEN)


@pytest.mark.slow
@pytest.mark.usefixtures("few_assemblies")
def test_all_claims_of_an_analysis(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    ase.io.write("two.xyz", [molecule("H2O"), molecule("H2O")], format="extxyz")
    asked = "species,extensivity,decay,many-body,faithfulness"
    options = ("--questions", asked, "--max-order", 2, "--out", "run")
    done = run(capsys, "analyze", "zoo:rmd17-ethanol-schnet", "two.xyz", *options)
    assert done.code == 0, done.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    page = plain((tmp_path / "run" / "report.html").read_text())
    assert {verdict["question"] for verdict in summary["verdicts"]} == set(asked.split(","))
    findings = [finding for verdict in summary["verdicts"] for finding in verdict["findings"]]
    assert sum(finding["outcome"] == OPEN for finding in findings) > 5  # two waters decide little
    for finding in findings:
        assert says_why(finding), finding
        assert finding["sentence"].count("This decides nothing:") <= 1  # one reason, not two
        # Of what was decided by a number, the page shows number, interval and threshold.
        if finding["outcome"] == OPEN or finding["effect"] is None:
            assert plain(finding["answer"]) in page, finding["claim"]
    for verdict in summary["verdicts"]:
        assert says_why(verdict | {"claim": verdict["question"]}), verdict["question"]
        # The terminal shows the answer of a finding that has the outcome of the whole.
        answers = [
            plain(f["answer"]).replace(" ", "") for f in verdict["findings"] if f["outcome"] == verdict["outcome"]
        ]
        assert any(answer in unfolded(done.out) for answer in answers), verdict["question"]


def test_all_claims_of_a_simulation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ase.io.write("water.xyz", molecule("H2O"), format="extxyz")
    done = run(
        capsys,
        "md",
        "zoo:qm9-u0-schnet",
        "water.xyz",
        "--time",
        "0.005",
        "--replicas",
        2,
        "--interval",
        2,
        "--out",
        "run",
    )
    assert done.code == 0, done.err
    # Before anything is computed it is known that two replicas decide nothing on survival.
    assert "2 cannot decide it" in done.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    page = plain((tmp_path / "run" / "report.html").read_text())
    findings = summary["verdict"]["findings"]
    assert [f["outcome"] for f in findings].count(OPEN) > 0
    for finding in findings:
        assert says_why(finding), finding
        assert plain(finding["answer"]) in page, finding["claim"]
        assert plain(f"{finding['outcome']}: {without_question(finding['sentence'])}") in plain(done.out)
