"""How annotations are checked while tests run: see the import hook in ``conftest.py``.

A check costs more than most of the functions that it guards, and a bootstrap or a trajectory calls the same function
thousands of times with arrays of the same kind. So each test has the first call of every function checked, and a few
of the later ones; the second and third alone would cost a tenth of the time of all tests. Calls that are not checked
go past jaxtyping altogether, whose wrapper binds all arguments first. Where one test has many parameters, first calls
with arguments of the same types, shapes and dtypes as in an earlier one of them are not checked again.
A function within a function is made again by every call of the outer one; its calls are counted together, since a
check is compiled for each of them anew, which takes milliseconds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
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
_function = ""
# Functions and arguments that were checked in tests of the same name.
_seen: set[tuple[Any, ...]] = set()


@dataclass
class _Count:
    """Calls of what was written in one place, since a test began."""

    calls: int = 0
    test: int = -1


_counts: dict[CodeType, _Count] = {}


def begin_test(function: str) -> None:
    """Check first calls again, all of them where the test has another name (without parameters) than the last one."""
    global _test, _function
    _test += 1
    if function != _function:
        _function = function
        _seen.clear()


def _kind(value: Any, depth: int = 3) -> Any:
    """What an annotation can say of a value: type, shape and dtype, and those of what it holds."""
    kind = type(value)
    if hasattr(value, "dtype"):
        return kind, getattr(value, "shape", None), value.dtype
    if depth and isinstance(value, tuple | list):
        return kind, len(value), *(_kind(entry, depth - 1) for entry in value[:4])
    if depth and isinstance(value, dict):
        return kind, *(_kind(entry, depth - 1) for entry in value.values())
    if depth and is_dataclass(kind):
        return kind, *(_kind(getattr(value, f.name, None), depth - 1) for f in fields(value))
    return kind


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
        if count.calls == 1:
            kind = (fn.__code__, _kind(args), _kind(kwargs))
            if kind in _seen:
                return fn(*args, **kwargs)
            _seen.add(kind)
        elif count.calls % ONE_OF:
            return fn(*args, **kwargs)
        if checked is None:  # what is never called in a run is never compiled
            checked = _jaxtyped(fn, typechecker=typechecker)
        return checked(*args, **kwargs)

    vars(some)["calls_are_sampled"] = True
    return some
