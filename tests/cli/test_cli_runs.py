"""What runs say when they are interrupted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from atomlens.cli.runs import resumable


@pytest.mark.parametrize(
    ("options", "says"),
    [([], "the same command resumes"), (["--overwrite"], "the same command without --overwrite resumes")],
)
def test_what_resumes_an_interrupted_run_is_told(monkeypatch, capsys, options, says):
    monkeypatch.setattr(sys, "argv", ["atomlens", "md", "organic", "O", "--out", "run", *options])
    with pytest.raises(SystemExit) as stopped, resumable(Path("run")):
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert f"interrupted; {says} where it stopped (run)" in capsys.readouterr().err
