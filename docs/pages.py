"""What scripts that fill pages share: marks, tables, numbers and the area under a curve."""

from __future__ import annotations

import re

import numpy as np

from atomlens.structures import InputError


def filled(page: str, parts: dict[str, str]) -> str:
    """The page with each part between its marks.

    Raises
    ------
    InputError
        If the page lacks a pair of marks.
    """
    for name, text in parts.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, count = marks.subn(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
        if count != 1:
            raise InputError(f"the page holds {count} pairs of marks for {name!r}; it needs one")
    return page


def signed(value: float, digits: int = 2) -> str:
    """A number with a real minus sign."""
    return f"{value + 0.0:.{digits}f}".replace("-", "−")  # zero has no sign


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)])


def area(value: np.ndarray, fragile: np.ndarray, group: np.ndarray | None = None) -> float:
    """How often a fragile model has the larger value of a fragile and another one; of one group each, if given."""
    pairs = fragile[:, None] & ~fragile
    if group is not None:
        pairs &= group[:, None] == group
    if not pairs.any():
        return np.nan
    difference = (value[:, None] - value)[pairs]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())
