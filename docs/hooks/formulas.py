"""Formulas as MathML, written while the site is built: browsers show them without a script, and offline.

``$...$`` and ``$$...$$`` of the pages, and ``.. math::`` of docstrings, come out alike.
"""

from __future__ import annotations

import html
import logging
import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

_DIRECTIVE = re.compile(r"^\.\. math::[ \t]*\n?(?P<tex>.*?)(?=\n[ \t]*\n|\Z)", re.MULTILINE | re.DOTALL)
_ROLE = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
# Names that the converter lacks, by ones that it has.
_NAMES = {r"\lVert": "‖", r"\rVert": "‖", r"\|": "‖", r"\lvert": "|", r"\rvert": "|"}
_LOG = logging.getLogger("mkdocs.plugins.formulas")


class _DocstringMath(Preprocessor):
    """The formulas of docstrings in the notation of the pages."""

    def run(self, lines: list[str]) -> list[str]:
        text = _DIRECTIVE.sub(lambda found: f"\n$$\n{' '.join(found['tex'].split())}\n$$\n", "\n".join(lines))
        return _ROLE.sub(r"$\1$", text).split("\n")


class DocstringMath(Extension):
    """Registers it before everything that looks at blocks."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Add the step."""
        md.preprocessors.register(_DocstringMath(md), "docstring_math", 100)


def on_config(config: Any) -> Any:
    """Pages and docstrings are read with the step above."""
    config.markdown_extensions.append(DocstringMath())
    return config


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Put MathML in the place of TeX."""

    def block(found: re.Match[str]) -> str:
        return _mathml(found[1], "block", page.file.src_uri)

    def inline(found: re.Match[str]) -> str:
        return _mathml(found[1], "inline", page.file.src_uri)

    return _INLINE.sub(inline, _BLOCK.sub(block, content))


def _mathml(escaped: str, display: str, where: str) -> str:
    tex = html.unescape(escaped).strip()
    for name, known in _NAMES.items():
        tex = tex.replace(name, known)
    made = convert(tex, display=display)
    # The converter writes what it does not know as it stands.
    if unknown := re.findall(r"\\(?:[A-Za-z]+|[^\s\w])", made):
        _LOG.warning("%s: formula %r: %s not known", where, tex, ", ".join(unknown))
    return made
