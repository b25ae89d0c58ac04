"""References of one geometry made once, however many models are compared with them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import ase

from atomlens.reference.xtb import electrons

_P = ParamSpec("_P")
_T = TypeVar("_T")


def once_per_geometry(
    most: int,
) -> Callable[[Callable[Concatenate[ase.Atoms, _P], _T]], Callable[Concatenate[ase.Atoms, _P], _T]]:
    """Decorator that keeps the last `most` results of a function of a structure; callers must not change them.

    Elements, positions, cell and stated charge make the geometry. What is raised is not kept.

    Examples
    --------
    >>> import ase.build
    >>> count = once_per_geometry(2)(lambda atoms: print("counting") or len(atoms))
    >>> water = ase.build.molecule("H2O")
    >>> count(water) + count(water.copy())
    counting
    6
    """

    def decorate(function: Callable[Concatenate[ase.Atoms, _P], _T]) -> Callable[Concatenate[ase.Atoms, _P], _T]:
        kept: OrderedDict[Any, _T] = OrderedDict()

        @wraps(function)
        def asked(atoms: ase.Atoms, *args: _P.args, **kwargs: _P.kwargs) -> _T:
            arrays = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
            key = (*(a.tobytes() for a in arrays), electrons(atoms, None, None), args, tuple(sorted(kwargs.items())))
            if key not in kept:
                kept[key] = function(atoms, *args, **kwargs)
            kept.move_to_end(key)
            while len(kept) > most:
                kept.popitem(last=False)
            return kept[key]

        return asked

    return decorate
