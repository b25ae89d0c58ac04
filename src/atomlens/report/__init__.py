"""Typed results -> tables, figures, one HTML file; a run folder that is complete or not there.

Names are looked up when they are first used, so that a command that draws nothing does not load a plotting library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomlens.report.figures import overview_figure
    from atomlens.report.page import Page, page_html
    from atomlens.report.run import RunResult, write_run
    from atomlens.report.summary import RunInfo
    from atomlens.report.writing import RunFolder

__all__ = [
    "Page",
    "RunFolder",
    "RunInfo",
    "RunResult",
    "overview_figure",
    "page_html",
    "write_run",
]

_HOMES = {
    "figures": ("overview_figure",),
    "page": ("Page", "page_html"),
    "run": ("RunResult", "write_run"),
    "summary": ("RunInfo",),
    "writing": ("RunFolder",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
