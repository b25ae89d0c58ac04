"""What reaches the terminal: results for people, JSON for programs, nothing, and plain lines of progress in a pipe."""

import io
import json

import numpy as np
import polars as pl
import pytest
from ase.build import molecule
from rich.console import Console

import atomlens
from atomlens.cli.main import main
from atomlens.cli.progress import LineProgress
from samples import small_model


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomlens.save_model(small_model(), tmp_path / "model.safetensors")
    molecule("H2O").write(tmp_path / "water.xyz")
    return tmp_path


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["explain", "model.safetensors", "water.xyz", *arguments])
    return stop.value.code


def test_quiet_prints_nothing(here, capsys):
    assert run("--quiet", "--out", "run") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""
    assert (here / "run" / "report.html").exists()


def test_json_prints_the_summary_and_nothing_else(here, capsys):
    assert run("--out", "run", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((here / "run" / "summary.json").read_text("utf-8"))
    assert printed["frames"][0]["formula"] == "H2O"


def test_errors_are_printed_under_quiet_too(here, capsys):
    assert run("--quiet", "--out", "run", "--frames", "7") == 2
    assert "7" in capsys.readouterr().err


def test_json_of_a_command_without_a_run_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["zoo", "--json"])
    assert stop.value.code == 2
    assert "--json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "endings"), [("parquet", {"parquet"}), ("csv", {"csv"}), ("both", {"parquet", "csv"})]
)
def test_tables_come_in_the_format_asked_for(here, wanted, endings):
    assert run("--out", "run", "--format", wanted) == 0
    files = {p.suffix[1:] for p in (here / "run").iterdir() if p.stem == "pairs"}
    assert files == endings
    page = (here / "run" / "report.html").read_text("utf-8")
    for ending in ("parquet", "csv"):
        assert (f"<code>pairs.{ending}</code>" in page) == (ending in endings)
    if wanted == "both":
        table, text = (pl.read_parquet(here / "run" / "pairs.parquet"), pl.read_csv(here / "run" / "pairs.csv"))
        assert table.columns == text.columns
        relevance = next(name for name in table.columns if name.startswith("relevance"))
        np.testing.assert_allclose(text[relevance], table[relevance], rtol=1e-12)


def test_no_colour_where_it_is_not_wanted(here, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run("--out", "coloured") == 0
    assert "\x1b[3" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("--out", "plain") == 0
    assert "\x1b[3" not in capsys.readouterr().out.replace("\x1b[3m", "")  # italics are no colour


@pytest.mark.parametrize(("every", "lines"), [(0.0, 4), (1e9, 0)])
def test_progress_in_a_pipe_is_lines(every, lines):
    stream = io.StringIO()
    with LineProgress(Console(file=stream), every=every) as bars:
        task = bars.add_task("explaining", total=4)
        for _ in range(4):
            bars.advance(task)
    printed = stream.getvalue().splitlines()
    assert len(printed) == lines
    if lines:
        assert printed[-1].startswith("explaining: 100 %")


def test_the_shell_can_complete_commands(capsys, monkeypatch):
    monkeypatch.setenv("_ATOMLENS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "atomlens expl")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        main(["expl"])
    assert "explain" in capsys.readouterr().out
