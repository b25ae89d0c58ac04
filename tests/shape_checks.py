"""How annotations are checked while tests run: see the import hook in ``conftest.py``.

A check costs more than most of the functions that it guards, and a bootstrap or a trajectory calls the same function
thousands of times with arrays of the same kind. So each test has the first call of every function checked, and a few
of the later ones; the second and third alone would cost a tenth of the time of all tests. Calls that are not checked
go past jaxtyping altogether, whose wrapper binds all arguments first.
A function within a function is made again by every call of the outer one; its calls are counted together, since a
check is compiled for each of them anew, which takes milliseconds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import CodeType
from typing import Any, Self

import jaxtyping
import jaxtyping._decorator
from beartype import BeartypeConf, FrozenDict, beartype

ONE_OF = 100

# beartype sees one method at a time here, and cannot know which class `Self` means.
# An int is a float to every type checker (PEP 484), so it is one here too.
check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped
_test = 0


@dataclass
class _Count:
    """Calls of what was written in one place, since a test began."""

    calls: int = 0
    test: int = -1


_counts: dict[CodeType, _Count] = {}


def begin_test() -> None:
    """Check first calls again."""
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
    count = _counts.setdefault(fn.__code__, _Count())

    @wraps(fn)
    def some(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        if count.test != _test:
            count.calls, count.test = 0, _test
        count.calls += 1
        if count.calls > 1 and count.calls % ONE_OF:
            return fn(*args, **kwargs)
        if checked is None:  # what is never called in a run is never compiled
            checked = _jaxtyped(fn, typechecker=typechecker)
        return checked(*args, **kwargs)

    vars(some)["calls_are_sampled"] = True
    return some
