"""Whole numbers that files give."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_whole(value: Any) -> bool:
    """Whether something that a file gives is a whole number; truth values are none.

    Examples
    --------
    >>> [is_whole(value) for value in (2, 2.0, 2.5, True, "2")]
    [True, True, False, False, False]
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return float(value).is_integer()
