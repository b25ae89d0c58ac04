"""How annotations are checked while tests run: see the import hook in ``conftest.py``.

A check costs more than most of the functions that it guards, and a bootstrap or a trajectory calls the same function
thousands of times with arrays of the same kind. So each test has the first calls of every function checked, and a few
of the later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

ALL_OF_THE_FIRST = 100
ONE_OF = 20

# beartype sees one method at a time here, and cannot know which class `Self` means.
# An int is a float to every type checker (PEP 484), so it is one here too.
_typed = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True))
_test = 0


def begin_test() -> None:
    """Check all first calls again."""
    global _test
    _test += 1


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype's check of some calls.

    jaxtyping hands over functions without a body, one for the arguments and one for the result, so that nothing is lost
    where a call is passed over. What is never called in a run is never compiled.
    """
    checked: Callable[..., Any] | None = None
    calls, test = 0, -1

    @wraps(function)
    def sampled(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked, calls, test
        if test != _test:
            calls, test = 0, _test
        calls += 1
        if calls > ALL_OF_THE_FIRST and calls % ONE_OF:
            return None
        if checked is None:
            checked = _typed(function)
        return checked(*args, **kwargs)

    return sampled
