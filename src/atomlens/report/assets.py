"""What goes into the page besides data: chemiscope's viewer, our script and style, and how text is made safe."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

# Where chemiscope's wheel keeps the bundle that its own documentation pages load.
_BUNDLE = "sphinx/static/chemiscope.min.js"


@cache
def viewer_script() -> Markup:
    """Chemiscope's JavaScript bundle, from the installed wheel, safe inside a script element.

    The file is found without importing the package, which would load pandas and ipywidgets for nothing.

    Raises
    ------
    FileNotFoundError
        If the installed chemiscope has no such bundle.
    """
    spec = importlib.util.find_spec("chemiscope")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / _BUNDLE
        if path.is_file():
            return script_text(path.read_bytes().decode())  # as it is: looking for line ends takes three times as long
    raise FileNotFoundError(f"no {_BUNDLE} in the installed chemiscope; install chemiscope 1.1 or later")


@cache
def template_text(name: str) -> str:
    """Text of one of our own templates."""
    return (files("atomlens.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    # Autoescape everywhere: only text that this file made safe is marked as markup.
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(template_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )


def page_template(name: str) -> jinja2.Template:
    """One of our own templates, ready to be filled: everything is escaped, and nothing may be missing."""
    return _environment().get_template(name)


def script_text(source: str) -> Markup:
    r"""JavaScript that an HTML parser reads to its end: no ``</script``, no ``<!--``.

    Both can only stand in strings, regular expressions or comments, where ``\/`` and ``\!`` mean the same.
    """
    return Markup(source.replace("</script", r"<\/script").replace("</SCRIPT", r"<\/SCRIPT").replace("<!--", r"<\!--"))


def plain_script() -> Markup:
    """Script of a page whose figures are pictures: its tables sort, and figures and tables can be saved."""
    return script_text("\n".join(map(template_text, ("draw.js", "tables.js", "exports.js", "plain.js"))))


def json_text(data: Any) -> Markup:
    r"""JSON that is inert inside an HTML script element, whatever its strings hold.

    Examples
    --------
    >>> print(json_text({"name": "</script><b>&"}))
    {"name":"\u003c/script\u003e\u003cb\u003e\u0026"}
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
