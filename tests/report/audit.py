"""What a page needs so that everybody can read it: contrast, names for every control, unique ids, headings in order.

The rules are those of WCAG 2.1 AA that a program can check: 1.4.3 (contrast 4.5 to 1), 4.1.2 (names), 1.3.1
(headings, table heads), 2.1.1 (what scrolls can be reached by keyboard), 1.4.10 (no sideways scrolling).
"""

from __future__ import annotations

from pathlib import Path

from browser import Browser

_SCRIPT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")


def complaints(browser: Browser) -> list[str]:
    """What is wrong with the loaded page."""
    return browser.run(_SCRIPT)
