"""The reference of all commands, out of the commands themselves, while the site is built."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

_PAGE = "reference/cli.md"
_MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put what every ``--help`` says in the place of the mark."""
    return markdown.replace(_MARK, commands()) if page.file.src_uri == _PAGE else markdown


def commands() -> str:
    """All commands with arguments, options and examples, as Markdown."""
    tool = [sys.executable, "-m", "typer", "atomlens.cli", "utils", "docs", "--name", "atomlens"]
    text = subprocess.run(tool, check=True, capture_output=True, text=True).stdout
    text = re.sub(r"\[/?b\]", "**", text).replace(r"\[", "[")
    # The page has a title of its own.
    return _linked(text).replace("# `atomlens`\n", "", 1)


def _linked(text: str) -> str:
    """Lists of commands with links and whole sentences; the tool shortens them as a terminal would."""
    says = dict(re.findall(r"^#+ `(.+?)`\n\n(.+?)\n\n", text, re.MULTILINE))
    above, lines = "", []
    for line in text.split("\n"):
        if heading := re.match(r"^#+ `(.+)`$", line):
            above = heading[1]
        entry = re.match(r"^\* `([\w-]+)`: ", line)
        if entry and (name := f"{above} {entry[1]}") in says:
            line = f"* [`{entry[1]}`](#{name.replace(' ', '-')}): {says[name]}"
        lines.append(line)
    return "\n".join(lines)
