"""Run the scripts of the gallery and write one page per script, so that every number and picture is made by one.

Usage, from anywhere: python docs/gallery/make.py [NAME ...]

A script is a notebook in plain text, as Jupyter (with jupytext) and VS Code open it: ``# %% [markdown]`` starts text,
``# %% language="bash"`` commands, ``# %%`` Python. The docstring at its top is the title and the first paragraph.
What a Python cell prints and draws stands below it on the page. Everything runs in a folder that is thrown away and
holds the repository's ``examples/``.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from PIL import Image

from atomlens.cli import main as atomlens

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCRIPTS = sorted(path for path in HERE.glob("*.py") if path != Path(__file__))
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
_DPI = 90
_COLOURS = 64


@dataclass(frozen=True)
class Cell:
    """A piece of a script: ``markdown``, ``bash`` or ``python``, and its text without comment signs."""

    kind: str
    text: str


def cells(script: str) -> list[Cell]:
    """The cells of a script, its docstring first."""
    title, _, rest = (ast.get_docstring(ast.parse(script)) or "").partition("\n")
    found = [Cell("markdown", f"# {title}\n{rest}")]
    _, *pieces = _CELL.split(script)
    for head, body in zip(pieces[::2], pieces[1::2], strict=True):
        kind = "markdown" if "[markdown]" in head else "bash" if 'language="bash"' in head else "python"
        text = body.strip("\n")
        found.append(Cell(kind, text if kind == "python" else re.sub("^# ?", "", text, flags=re.MULTILINE)))
    return found


def page(script: Path, pictures: Path) -> str:
    """Run a script; its page, with pictures written to a folder."""
    shown = [f"<!-- Made by `python docs/gallery/make.py {script.stem}` from {script.name}. Edit that. -->"]
    names: dict[str, Any] = {"__name__": "__gallery__"}
    drawn = 0
    with _workplace():
        for cell in cells(script.read_text("utf-8")):
            if cell.kind == "markdown":
                shown.append(cell.text)
                continue
            shown.append(f"```{cell.kind}\n{cell.text}\n```")
            if cell.kind == "bash":
                _shell(cell.text)
                continue
            printed, figures = _python(cell.text, names, script.name)
            if printed.strip():
                shown.append(f"```text\n{printed.rstrip()}\n```")
            for label, figure in figures:
                drawn += 1
                name = f"{script.stem}-{drawn}.png"
                _picture(figure, pictures / name)
                shown.append(f"![{label or script.stem}]({name})")
    return "\n\n".join(shown) + "\n"


def _python(text: str, names: dict[str, Any], where: str) -> tuple[str, list[tuple[str, Any]]]:
    """What a cell prints, and the figures that it leaves open, with their labels."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, where, "exec"), names)
    figures = [(pyplot.figure(number).get_label(), pyplot.figure(number)) for number in pyplot.get_fignums()]
    pyplot.close("all")
    return printed.getvalue(), figures


def _picture(figure: Any, path: Path) -> None:
    """Save a figure with as many colours as a drawing needs: a third of the size."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DPI)
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(path, optimize=True)


def _shell(text: str) -> None:
    """Run commands of atomlens, one on each line, in this process; what they print is no part of the page."""
    for line in filter(None, text.splitlines()):
        program, *words = shlex.split(line)
        if program != "atomlens":
            raise ValueError(f"{line}: only commands of atomlens are run here")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                atomlens(words)
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{line}: exit code {end.code}") from end


@contextlib.contextmanager
def _workplace() -> Iterator[None]:
    """A folder to run in, and figures that are drawn without a screen."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, mpl.rc_context({"figure.facecolor": "white"}):
        mpl.use("agg")
        pyplot.close("all")  # figures that others left open are no part of the page
        shutil.copytree(ROOT / "examples", Path(folder, "examples"))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def main(names: list[str]) -> None:
    """Write the pages of the scripts of these names, or of all."""
    known = {script.stem: script for script in SCRIPTS}
    if unknown := set(names) - set(known):
        sys.exit(f"gallery: no script {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in names or known:
        print(name, flush=True)
        for old in HERE.glob(f"{name}-*.png"):
            old.unlink()
        (HERE / f"{name}.md").write_text(page(known[name], HERE), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
