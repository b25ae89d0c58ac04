"""Nothing that names and files contain can write to the terminal but as text, in lines of bounded length."""

from __future__ import annotations

import ast
import io
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import atomlens.cli
from atomlens.cli import main
from atomlens.cli.terminal import LONGEST_LINE, clean, clean_warnings, console, one_line

SOURCES = sorted(Path(atomlens.cli.__file__).parent.glob("*.py"))
hostile = st.text(st.characters() | st.sampled_from("\x1b\x07\r\x00\x9b\u202e\u2028\ud800\t"))


def harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@given(text=hostile)
def test_text_is_printable_and_says_what_it_was(text: str) -> None:
    assert harmless(clean(text))
    assert one_line(text).isprintable()
    if harmless(text):
        assert clean(text) == text


@given(text=hostile, style=st.sampled_from(["", "bold", "red"]))
def test_tables_are_clean_and_keep_their_colours(text: str, style: str) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(text))
    table.add_column(Text(text))
    table.add_row(Text(text, style=style))
    out = io.StringIO()
    console(file=out, width=80).print(table, text)
    assert harmless(out.getvalue())
    coloured = io.StringIO()
    console(file=coloured, force_terminal=True, color_system="standard", width=80).print(Text("x", style="red"))
    assert "\x1b[31mx" in coloured.getvalue()


def test_long_text_is_cut() -> None:
    assert len(clean("x" * 5_000_000)) < LONGEST_LINE + 100
    assert len(one_line("x " * 5_000_000)) < LONGEST_LINE + 100


def test_warnings_are_one_clean_line(capsys: pytest.CaptureFixture[str]) -> None:
    with clean_warnings():
        warnings.simplefilter("always")
        warnings.warn("two\nlines \x1b[31m", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "atomlens: warning: two lines \\x1b[31m\n"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_commands_print_in_no_other_way(source: Path) -> None:
    if source.name == "terminal.py":
        return
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "typer.echo", "click.echo", "Console", "typer.secho")
        if isinstance(node, ast.ImportFrom):
            assert "Console" not in {alias.name for alias in node.names}


def test_a_terminal_of_few_letters_gets_the_others_spelled_out(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii", errors="strict"))
    with pytest.raises(SystemExit) as end:
        main(["zoo", "card", "rmd17-ethanol-painn"])
    sys.stdout.flush()
    assert not end.value.code
    assert rb"meV/\xc5" in written.getvalue()
