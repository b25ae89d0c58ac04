"""What the site's build adds: formulas as MathML, and the reference of commands."""

from __future__ import annotations

import logging
from types import ModuleType, SimpleNamespace

import pytest
from markdown import Markdown
from scripts import ROOT, load_script
from typer.main import get_command

from atomlens.cli import app

HOOKS = ROOT / "docs" / "hooks"
PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="reference/cli.md"))


def hook(name: str) -> ModuleType:
    return load_script(HOOKS / f"{name}.py", f"docs_{name}")


def rendered(text: str) -> str:
    formulas = hook("formulas")
    extensions = ["pymdownx.arithmatex", formulas.DocstringMath()]
    made = Markdown(extensions=extensions, extension_configs={"pymdownx.arithmatex": {"generic": True}})
    return formulas.on_page_content(made.convert(text), page=PAGE)


@pytest.mark.parametrize(
    "text",
    ["$$\nx_i < \\sum_j y_j\n$$", ".. math:: x_i < \\sum_j y_j", ".. math::\n    x_i <\n    \\sum_j y_j\n\nMore."],
)
def test_pages_and_docstrings_give_the_same_formula(text):
    html = rendered(text)
    assert html.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == 1
    assert "<munder>" in html
    assert "math::" not in html
    assert "$$" not in html
    assert ("More." in text) == ("<p>More.</p>" in html)


def test_roles_are_inline():
    assert 'display="inline"' in rendered("the norm :math:`|v|` of v")


@pytest.mark.parametrize("tex", [r"\nosuchname x", r"\Big\lVert x \Big\rVert \]"])
def test_unknown_names_are_told(tex, caplog):
    with caplog.at_level(logging.WARNING, "mkdocs.plugins.formulas"):
        rendered(f"$$\n{tex}\n$$")
    assert "not known" in caplog.text


def test_norms_are_known(caplog):
    assert rendered(r"$\lVert x \rVert$").count("‖") == 2
    assert not caplog.text


def test_every_command_is_in_the_reference():
    text = hook("commands").on_page_markdown("above\n<!-- commands -->\nbelow", page=PAGE)
    assert text.startswith("above\n")
    assert "[b]" not in text
    for name, command in get_command(app).commands.items():
        if not command.hidden:
            assert f"## `atomlens {name}`\n" in text
            assert f"* [`{name}`](#atomlens-{name}): {command.help.splitlines()[0]}" in text
    assert "* [`xtb`](#atomlens-data-xtb): " in text
    assert hook("commands").on_page_markdown("x", page=SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))) == "x"
