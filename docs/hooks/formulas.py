"""Formulas as MathML, written while the site is built: browsers show them without a script, and offline.

``$...$`` and ``$$...$$`` of the pages, and ``.. math::`` of docstrings, come out alike.
"""

from __future__ import annotations

import html
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


def on_page_content(content: str, **_: Any) -> str:
    """Put MathML in the place of TeX."""
    content = _BLOCK.sub(lambda found: convert(html.unescape(found[1]).strip(), display="block"), content)
    return _INLINE.sub(lambda found: convert(html.unescape(found[1])), content)
