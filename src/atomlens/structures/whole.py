"""Whole numbers that files give."""

from __future__ import annotations

from typing import Any

import numpy as np

# Nothing that is counted here comes near; beyond it numbers of files do not fit into those of arrays.
_MOST = 1_000_000


def is_whole(value: Any) -> bool:
    """Whether something that a file gives is a whole number; truth values are none, and nor is what no file means.

    Examples
    --------
    >>> [is_whole(value) for value in (2, 2.0, 2.5, True, "2", 10**400)]
    [True, True, False, False, False, False]
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(abs(value) <= _MOST) and float(value).is_integer()
