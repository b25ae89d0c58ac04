"""How annotations are checked while tests run: see the import hook in ``conftest.py``.

A check costs more than most of the functions that it guards, and a bootstrap or a trajectory calls the same function
thousands of times with arrays of the same kind. So each test has the first calls of every function checked, and a few
of the later ones. Calls that are not checked go past jaxtyping altogether, whose wrapper binds all arguments first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Self

import jaxtyping
import jaxtyping._decorator
from beartype import BeartypeConf, FrozenDict, beartype

ALL_OF_THE_FIRST = 10
ONE_OF = 100

# beartype sees one method at a time here, and cannot know which class `Self` means.
# An int is a float to every type checker (PEP 484), so it is one here too.
check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped
_test = 0


def begin_test() -> None:
    """Check all first calls again."""
    global _test
    _test += 1


def sample() -> None:
    """Let the import hook decorate functions with `sampled` in place of `jaxtyping.jaxtyped`."""
    jaxtyping.jaxtyped = jaxtyping._decorator.jaxtyped = sampled


def sampled(fn: Any = jaxtyping._decorator._sentinel, *, typechecker: Any = None) -> Any:
    """`jaxtyping.jaxtyped` of some calls; of classes and properties it comes back here for their functions."""
    if not inspect.isfunction(fn):
        return _jaxtyped(fn, typechecker=typechecker)
    if hasattr(fn, "calls_are_sampled"):
        return fn
    checked: Callable[..., Any] | None = None
    calls, test = 0, -1

    @wraps(fn)
    def some(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked, calls, test
        if test != _test:
            calls, test = 0, _test
        calls += 1
        if calls > ALL_OF_THE_FIRST and calls % ONE_OF:
            return fn(*args, **kwargs)
        if checked is None:  # what is never called in a run is never compiled
            checked = _jaxtyped(fn, typechecker=typechecker)
        return checked(*args, **kwargs)

    vars(some)["calls_are_sampled"] = True
    return some
