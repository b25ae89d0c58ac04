"""A whole run of `analyze`: page, summary, results; going on after a stop; refusals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import ase
import ase.build
import ase.io
import polars as pl
import pytest
import torch

from atomlens import InputError, Potential, load_model
from atomlens.analyses import AnalysisInputs, Control, Effect, Finding, Outcome, Verdict, conclude
from atomlens.analyses import questions as asked
from atomlens.analyses.questions import QUESTIONS, Question, chosen_questions
from atomlens.report import chapters
from atomlens.runs import analysis
from atomlens.runs.analysis import AnalysisOptions, run_analysis
from atomlens.surveys import XyzFrames

pytestmark = pytest.mark.usefixtures("few_assemblies")

NAME = "zoo:qm9-u0-schnet"
MOLECULES = [ase.build.molecule(name) for name in ("H2O", "CH4", "CH3OH", "C2H4", "HCN", "NH3")]


@dataclass(frozen=True)
class _Count:
    pairs: pl.DataFrame
    n_untrained: int


class _Module:
    """A question that counts pair terms, and how often it was asked."""

    TITLE = "Counting <terms>"
    HOW = "<p>by counting</p>"
    computed = 0

    @classmethod
    def compute(cls, inputs: AnalysisInputs, progress: object = None) -> _Count:
        cls.computed += 1
        return _Count(inputs.tables["pairs"].select(inputs.relevance), inputs.untrained_level("pairs")[0].height)

    @staticmethod
    def judge(result: _Count) -> Verdict:
        effect = Effect("number of <pairs>", float(result.pairs.height), 1.0, 1e6, 6)
        controls = (Control("untrained", float(result.n_untrained)), Control("distance alone", 1.0, is_null=False))
        finding = Finding("There are <pairs>", Outcome.AGREES, "There are.", effect, 0.5, controls, "Counting & co.")
        return conclude("count", (finding,))

    @staticmethod
    def figure(result: _Count) -> object:
        from matplotlib.figure import Figure

        figure = Figure()
        figure.subplots().plot(result.pairs.to_numpy()[:, 0])
        return figure


COUNT = Question("count", "count", "How many?", "Count")


@pytest.fixture
def model() -> Potential:
    return load_model(NAME, dtype=torch.float64)


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    _Module.computed = 0
    # Files of a question that is known are the run's own.
    monkeypatch.setattr(analysis, "QUESTIONS", (*QUESTIONS, COUNT))
    for place in (asked, chapters):
        real = place.import_module
        monkeypatch.setattr(place, "import_module", lambda name, r=real: _Module if ".count" in name else r(name))


def run(model: Potential, out: Path, **changes: object) -> analysis.AnalysisRun:
    options = AnalysisOptions(questions=(COUNT,), max_order=2)
    return run_analysis(model, NAME, MOLECULES, "six.xyz", out, options, **changes)  # pyright: ignore[reportArgumentType]


def test_page_and_summary_tell_the_verdict_and_nothing_is_markup(model: Potential, tmp_path: Path) -> None:
    found = run(model, tmp_path / "run")
    page = (found.folder / "report.html").read_text()
    assert "Counting &lt;terms&gt;" in page
    assert "<terms>" not in page
    assert "<p>by counting</p>" in page
    assert page.count("data:image/svg+xml;base64,") == 1
    assert "When does a model agree, and when does it deviate?" in page
    summary = json.loads((found.folder / "summary.json").read_text())
    assert summary["schema"] == analysis.ANALYSIS_SCHEMA
    assert summary["n_structures"] == 6
    (verdict,) = summary["verdicts"]
    assert verdict["outcome"] == "agrees"
    pairs = pl.read_parquet(found.folder / "tables" / "pairs.parquet")
    assert verdict["findings"][0]["effect"]["value"] == pairs.height
    assert verdict["findings"][0]["controls"][0]["value"] == pairs.height


def test_a_stopped_run_goes_on_and_repeats_nothing(
    model: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(analysis, "_page", stop)
        with pytest.raises(KeyboardInterrupt):
            run(model, tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
    explained = tmp_path / "run" / "tables" / "pairs.parquet"
    before = explained.stat().st_mtime_ns
    found = run(model, tmp_path / "run")
    assert found.verdicts[0].outcome is Outcome.AGREES
    assert _Module.computed == 1
    assert explained.stat().st_mtime_ns == before


def test_other_settings_are_refused_and_a_finished_run_is_kept(model: Potential, tmp_path: Path) -> None:
    run(model, tmp_path / "run")
    with pytest.raises(InputError, match="finished run"):
        run(model, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    with pytest.raises(InputError, match="other"):
        run_analysis(
            model, NAME, MOLECULES[:3], "six.xyz", tmp_path / "run", AnalysisOptions(questions=(COUNT,), max_order=2)
        )
    assert run(model, tmp_path / "run", overwrite=True).n_structures == 6


def test_folders_of_others_are_left_alone(model: Potential, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not written by atomlens"):
            run(model, tmp_path, overwrite=overwrite)
    with pytest.raises(InputError, match="is a file"):
        run(model, tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_structures_that_cannot_be_explained_are_counted(model: Potential, tmp_path: Path) -> None:
    structures = [*MOLECULES, ase.build.molecule("SiH4")]
    options = AnalysisOptions(questions=(COUNT,), max_order=2)
    found = run_analysis(model, NAME, structures, "seven.xyz", tmp_path / "run", options)
    assert (found.n_structures, found.n_skipped) == (6, 1)


def test_bad_input_leaves_nothing_that_was_not_there(model: Potential, tmp_path: Path) -> None:
    options = AnalysisOptions(questions=(COUNT,), max_order=2)
    silane = [ase.build.molecule("SiH4")]
    home = tmp_path / "new" / "run"

    def refused(out: Path) -> None:
        with pytest.raises(InputError, match="none of the 1 structures can be explained"):
            run_analysis(model, NAME, silane, "one.xyz", out, options)

    refused(home)
    assert list(tmp_path.iterdir()) == []
    home.mkdir(parents=True)
    refused(home)
    assert list(tmp_path.rglob("*")) == [home.parent, home]
    home.rmdir()
    assert run(model, home).n_structures == 6  # nothing of the failure is in the way
    (home / "summary.json").unlink()
    before = sorted(home.rglob("*"))
    with pytest.raises(InputError, match="unfinished run with another"):
        run_analysis(model, NAME, silane, "one.xyz", home, options)
    assert sorted(home.rglob("*")) == before


def test_an_unfinished_run_is_not_taken_for_one_in_vain(
    model: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> str:
        raise InputError("the disk is full")

    monkeypatch.setattr(analysis, "_page", stop)
    with pytest.raises(InputError, match="disk is full"):
        run(model, tmp_path / "run")
    assert (tmp_path / "run" / "tables" / "pairs.parquet").is_file()


def test_of_many_structures_some_are_judged_and_all_are_in_the_tables(model: Potential, tmp_path: Path) -> None:
    structures = [*MOLECULES[:3], ase.build.molecule("SiH4"), *MOLECULES[3:]]
    options = AnalysisOptions(questions=(COUNT,), max_order=2, sample=3)
    found = run_analysis(model, NAME, structures, "seven.xyz", tmp_path / "run", options)
    assert (found.n_structures, found.n_skipped, found.n_sampled) == (6, 1, 3)
    summary = json.loads((found.folder / "summary.json").read_text())
    assert [summary[key] for key in ("n_structures", "n_skipped", "n_sampled")] == [6, 1, 3]
    assert summary["options"]["sample"] == 3
    assert "Answered from 3 of 6 structures" in (found.folder / "report.html").read_text()
    sample = pl.read_parquet(found.folder / "questions" / "sample.parquet")
    assert sample["sample"].to_list() == [0, 1, 2]
    assert sample["frame"].to_list() == [0, 2, 6]  # water, methanol, ammonia; silane is frame 3
    page = (found.folder / "report.html").read_text()
    data = json.loads(page.split('id="atomlens-data">')[1].split("</script>")[0])
    assert [shown["index"] for shown in data["frames"]] == [0, 2, 6]  # numbers of the tables
    assert "evenly spaced" not in page


def test_a_page_that_leaves_structures_out_says_so(model: Potential, tmp_path: Path) -> None:
    found = run_analysis(model, NAME, MOLECULES, "six.xyz", tmp_path / "run", AnalysisOptions(questions=(COUNT,)))
    page = (found.folder / "report.html").read_text()
    data = json.loads(page.split('id="atomlens-data">')[1].split("</script>")[0])
    assert [shown["index"] for shown in data["frames"]] == [0, 1, 2, 4, 5]
    assert "(5 of 6 frames, evenly spaced; the tables contain all of them)" in page


def test_structures_of_a_sample_are_counted(model: Potential, tmp_path: Path) -> None:
    structures = [*MOLECULES[:3], ase.build.molecule("SiH4"), *MOLECULES[3:]]
    found = run_analysis(
        model, NAME, structures, "seven.xyz", tmp_path / "run", AnalysisOptions(questions=(COUNT,), sample=3)
    )
    pairs = pl.read_parquet(found.folder / "tables" / "pairs.parquet")
    assert pairs["frame"].n_unique() == 6
    seen = pairs.filter(pl.col("frame").is_in([0, 2, 6])).height
    (finding,) = found.verdicts[0].findings
    assert finding.effect is not None
    assert finding.effect.value == seen
    assert finding.controls[0].value == seen  # the untrained model is asked about the same structures


def test_the_limit_changes_nothing_where_all_are_judged(model: Potential, tmp_path: Path) -> None:
    run(model, tmp_path / "run")
    whole = json.loads((tmp_path / "run" / "summary.json").read_text())
    (tmp_path / "run" / "summary.json").unlink()
    options = AnalysisOptions(questions=(COUNT,), max_order=2, sample=6)  # so the unfinished run goes on
    found = run_analysis(model, NAME, MOLECULES, "six.xyz", tmp_path / "run", options)
    assert _Module.computed == 1
    assert found.summary["verdicts"] == whole["verdicts"]
    assert found.n_sampled == whole["n_sampled"] == 6
    (tmp_path / "run" / "summary.json").unlink()
    with pytest.raises(InputError, match="other"):
        run_analysis(
            model,
            NAME,
            MOLECULES,
            "six.xyz",
            tmp_path / "run",
            AnalysisOptions(questions=(COUNT,), max_order=2, sample=5),
        )
    with pytest.raises(InputError, match="at least 1"):
        AnalysisOptions(sample=0)


def test_xyz_frames_give_what_a_list_gives_and_broken_ones_are_skipped(model: Potential, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "six.xyz", MOLECULES, format="extxyz")
    options = AnalysisOptions(questions=(COUNT,), max_order=2)
    listed = ase.io.read(tmp_path / "six.xyz", ":")
    whole = run_analysis(model, NAME, listed, "six.xyz", tmp_path / "list", options)
    lazy = run_analysis(model, NAME, XyzFrames.of(tmp_path / "six.xyz"), "six.xyz", tmp_path / "frames", options)
    assert lazy.summary["verdicts"] == whole.summary["verdicts"]
    for name in ("frames", "atoms", "pairs"):
        tables = [pl.read_parquet(run.folder / "tables" / f"{name}.parquet") for run in (lazy, whole)]
        assert tables[0].equals(tables[1])
    text = (tmp_path / "six.xyz").read_text().splitlines()
    text[7] = "C 0 zero 0"  # of the second frame, which begins at line 5
    (tmp_path / "torn.xyz").write_text("\n".join(text) + "\n")
    torn = run_analysis(model, NAME, XyzFrames.of(tmp_path / "torn.xyz"), "torn.xyz", tmp_path / "torn", options)
    assert (torn.n_structures, torn.n_skipped, torn.n_sampled) == (5, 1, 5)
    assert pl.read_parquet(tmp_path / "torn" / "tables" / "skipped.parquet")["frame"].to_list() == [1]


def test_no_structure_is_refused(model: Potential, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no structure"):
        run_analysis(model, NAME, [], "none.xyz", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_questions_by_name() -> None:
    assert chosen_questions("all", ["--dimers"]) == QUESTIONS
    assert [question.slug for question in QUESTIONS if question not in chosen_questions("all")] == ["contacts"]
    with pytest.raises(InputError, match="question contacts needs --dimers"):
        chosen_questions("contacts")
    with pytest.raises(InputError, match="--dimers is for question contacts, which --questions leaves out; add it"):
        chosen_questions("species,decay", ["--dimers"])
    assert [question.slug for question in chosen_questions(" decay ,species")] == ["species", "decay"]
    for wrong, says in (("", "no question"), ("species,colour", "'colour' is not known")):
        with pytest.raises(InputError, match=says):
            chosen_questions(wrong)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.slug)
def test_every_question_has_its_parts(question: Question) -> None:
    from importlib import import_module

    home = import_module(f"atomlens.analyses.{question.module}.question")
    assert question.slug == home.SLUG
    assert question.title
    assert question.result_type.__module__.startswith("atomlens.analyses")
    chapter = import_module(f"atomlens.report.chapters.{question.module}")
    assert "<" in chapter.HOW
    assert callable(chapter.figure)
