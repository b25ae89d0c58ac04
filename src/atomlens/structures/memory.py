"""How much memory this machine has."""

from __future__ import annotations

import os


def machine_memory() -> int:
    """Bytes of memory of this machine, used or not.

    Examples
    --------
    >>> machine_memory() > 1_000_000
    True
    """
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
