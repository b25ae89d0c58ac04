"""Loading libraries without Python's search for garbage: of the million objects that torch brings, none is garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Load libraries inside; what they bring is never searched for garbage, neither now nor later.

    Where torch was loaded before, there is nothing to gain, and nothing is done.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
