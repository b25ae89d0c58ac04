"""What the documentation shows: Python runs, and commands are commands."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from typer.main import get_command

import atomlens
from atomlens.cli import app, main
from atomlens.models import zoo_path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BASH = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that examples name."""
    atoms = ase.io.read(ROOT / "examples" / "ethanol.xyz")
    assert isinstance(atoms, ase.Atoms)
    ase.io.write(tmp_path / "ethanol.xyz", atoms)
    frames = [atoms.copy() for _ in range(3)]
    for seed, frame in enumerate(frames):
        frame.rattle(0.02, seed=seed)
    ase.io.write(tmp_path / "md.xyz", frames)
    ase.io.write(tmp_path / "many.xyz", frames)
    ase.io.write(tmp_path / "molecules.xyz", frames[:2])
    ase.io.write(tmp_path / "broken.xyz", frames[0])
    for name in ("best_model", "model.safetensors"):
        shutil.copy(zoo_path("rmd17-ethanol-painn"), tmp_path / name)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Pages of the gallery are run by the scripts that make them (test_gallery.py).
RUN_HERE = [page for page in PAGES if "```python\n" in page.read_text("utf-8") and page.parent.name != "gallery"]


@pytest.mark.parametrize("page", RUN_HERE, ids=named)
def test_python_runs(page, workplace):
    held = torch.get_default_dtype()
    try:
        document = Sybil([PythonCodeBlockParser()], path=str(ROOT)).parse(page)
        for example in document.examples():
            example.evaluate()
    finally:
        torch.set_default_dtype(held)


def commands(text: str) -> list[list[str]]:
    """Arguments of every ``atomlens ...`` line in blocks marked bash, without a path before it or a comment after."""
    lines = "\n".join(BASH.findall(text)).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and Path(words[0]).name == "atomlens"]


def parse(words: list[str]) -> None:
    """Let the command parse its arguments without running it, down to the sub-command."""
    command: Any = get_command(app)
    context = command.make_context("atomlens", list(words))
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, list(words), parent=context)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page.read_text("utf-8"))], ids=named)
def test_commands_parse(page):
    for words in commands(page.read_text("utf-8")):
        if "--help" not in words:
            parse(words)


def runs_here(words: list[str]) -> bool:
    """Whether a command takes a moment and needs neither a network nor another library."""
    others = any(word.startswith(("sevenn:", "runs/")) for word in words)  # another library, or what a training makes
    return words[0] in ("explain", "compare", "response", "zoo") and not others


# Scripts of the gallery do what its commands do; commands of the page on references are those of the how-to.
ELSEWHERE = ("gallery", "reference-data.md")
QUICK = [
    page
    for page in PAGES
    if any(map(runs_here, commands(page.read_text("utf-8")))) and not set(page.parts) & set(ELSEWHERE)
]


# Slow because every command explains something: what readers type is run nowhere else.
@pytest.mark.slow
@pytest.mark.parametrize("page", QUICK, ids=named)
def test_quick_commands_run(page, workplace, capsys):
    """In the order of the page, as a reader would: what compares runs finds those that were made before it."""
    done = 0
    for words in filter(runs_here, commands(page.read_text("utf-8"))):
        made_before = [Path(word) for word in words[1:] if words[0] == "compare" and not word.startswith("-")]
        if not all((path / "summary.json").is_file() for path in made_before[:-1]):
            continue  # runs of analyze, or of another model of the reader
        shutil.rmtree(words[-1], ignore_errors=True)
        with pytest.raises(SystemExit) as end:
            main(words)
        assert not end.value.code, capsys.readouterr().err
        done += 1
    assert done


@pytest.mark.parametrize(
    "line", ["explain a b --out c --max-ordr 2", "explain a b --out c --max-order 9", "analyse a b", "md a --out b"]
)
def test_a_wrong_command_would_be_noticed(line):
    with pytest.raises(Exception, match=r"(?i)no such|must be|is not|missing|number"):
        parse(shlex.split(line))


def test_the_reference_holds_every_public_name():
    told = re.findall(r"^::: atomlens\.(\w+)$", (ROOT / "docs" / "reference" / "python.md").read_text("utf-8"), re.M)
    assert sorted(told) == sorted(set(atomlens.__all__) - {"__version__"})


def test_every_command_has_a_how_to():
    shown = {words[0] for page in PAGES for words in commands(page.read_text("utf-8")) if words}
    assert {name for name, command in get_command(app).commands.items() if not command.hidden} - {"zoo"} <= shown


def test_samples_are_what_examples_expect(workplace):
    # Frames that were all alike would let an example pass that mixes them up.
    first, second = ase.io.read("md.xyz", ":2")
    assert not np.allclose(first.positions, second.positions)
