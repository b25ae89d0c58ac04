"""Questions shared between processes: the same answers, kept as they come."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import polars as pl
import pytest
import torch
from markupsafe import Markup

from atomlens import load_model
from atomlens.analyses import AnalysisInputs, Outcome, Verdict
from atomlens.analyses.questions import chosen_questions
from atomlens.report import Chapter
from atomlens.runs.answering import answer
from atomlens.surveys import survey_structures
from atomlens.surveys.sample import read_tables

pytestmark = pytest.mark.usefixtures("rough_pictures")

QUESTIONS = chosen_questions("species,extensivity")


class Deadly(ase.Atoms):
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (1,)


@pytest.fixture
def inputs(tmp_path: Path) -> AnalysisInputs:
    model = load_model("zoo:qm9-u0-schnet", dtype=torch.float64)
    molecules = [ase.build.molecule(name) for name in ("H2O", "CH4", "CH3OH", "C2H4", "HCN", "NH3")]
    survey_structures(model, molecules, tmp_path / "tables")
    return AnalysisInputs(model, molecules, read_tables(tmp_path / "tables"))


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("Do molecules stay whole? Share: 0.5. Run more.", "Share: 0.5. Run more."),
        ("The structure falls apart.", "The structure falls apart."),
    ],
)
def test_what_came_out_is_without_the_question(sentence: str, answer: str) -> None:
    verdict = Verdict("stability", Outcome.DEVIATES, sentence, ())
    assert Chapter("stability", "Stability", "Asked", verdict, "data:", Markup("")).came_out == answer


@pytest.mark.slow
def test_answers_do_not_depend_on_processes(inputs: AnalysisInputs, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    homes = [tmp_path / "one", tmp_path / "two"]
    for n_workers, home in enumerate(homes, start=1):
        home.mkdir()
        answer(QUESTIONS, inputs, home, n_workers, lambda *step: told.append(step))
    assert ("questions", 2, 2) in told
    files = sorted(path.relative_to(homes[0]) for path in homes[0].rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(homes[1]) for path in homes[1].rglob("*") if path.is_file())
    for name in files:
        one, two = (home / name for home in homes)
        if name.suffix == ".parquet":
            assert pl.read_parquet(one).equals(pl.read_parquet(two)), name
        else:
            assert one.read_text() == two.read_text(), name


def test_what_is_answered_is_not_asked_again(inputs: AnalysisInputs, tmp_path: Path) -> None:
    home = tmp_path / "questions"
    home.mkdir()
    answer(QUESTIONS[:1], inputs, home, 1, lambda *_: None)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    chapters = answer(QUESTIONS, inputs, home, 2, lambda *_: None)
    assert [chapter.verdict.question for chapter in chapters] == ["species", "extensivity"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_process_that_dies_is_told(inputs: AnalysisInputs, tmp_path: Path) -> None:
    deadly = replace(inputs, structures=[Deadly()])
    with pytest.raises(OSError, match="worker process died"):
        answer(QUESTIONS, deadly, tmp_path, 2, lambda *_: None)
    assert not [path for path in tmp_path.iterdir() if path.name != "tables"]
