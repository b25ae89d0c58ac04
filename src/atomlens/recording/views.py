"""Tensors that look into others, and operators that write in place, as operators that do neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from atomlens.recording.trace import UnknownOperatorError


class Alias(NamedTuple):
    """A tensor that looks into another: ``op(base, *args)``."""

    base: Tensor
    op: Any
    args: tuple[Any, ...]


# Views that keep all elements in their order: written back by a reshape.
SAME_ELEMENTS = frozenset(
    f"aten.{name}"
    for name in [
        "view",
        "reshape",
        "_unsafe_view",
        "flatten",
        "unflatten",
        "unsqueeze",
        "squeeze",
        "alias",
        "contiguous",
        "view_as",
        "_reshape_alias",
        "expand",
    ]
)

# Views with the shape of a second tensor, as views with a given shape.
VIEWS_LIKE_ANOTHER = {
    "aten.expand_as": torch.ops.aten.expand.default,
    "aten.view_as": torch.ops.aten.view.default,
    "aten.reshape_as": torch.ops.aten.reshape.default,
}


class WithKeywords:
    """An operator with fixed keyword arguments, for views that were made with such."""

    def __init__(self, func: Any, kwargs: dict[str, Any]) -> None:
        self.func, self.kwargs = func, kwargs
        self.overloadpacket = func.overloadpacket

    def __call__(self, *args: Any) -> Any:
        """Make the view."""
        return self.func(*args, **self.kwargs)


def parts_of(name: str, base: Tensor, args: Any, kwargs: Any, out: Sequence[Tensor]) -> list[Alias] | None:
    """Each of several views of one tensor as a view of its own."""
    aten = torch.ops.aten
    options = dict(kwargs)
    if name in ("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.tensor_split", "aten.unsafe_split"):
        dim = options.get("dim", args[2] if len(args) > 2 else 0) % base.dim()
        first, aliases = 0, []
        for part in out:
            aliases.append(Alias(base, aten.narrow.default, (dim, first, part.shape[dim])))
            first += part.shape[dim]
        return aliases
    if name == "aten.unbind":
        dim = options.get("dim", args[1] if len(args) > 1 else 0) % base.dim()
        return [Alias(base, aten.select.int, (dim, i)) for i in range(len(out))]
    return None


def pure_form(func: Any, name: str) -> Any:
    """The operator that gives a new tensor, of the same arguments."""
    packet = getattr(torch.ops.aten, name.removeprefix("aten.").removesuffix("_"), None)
    wanted = [(a.name, str(a.type)) for a in func._schema.arguments if a.name != "out"]
    for overload in packet.overloads() if packet is not None else ():
        pure = getattr(packet, overload)
        if not pure._schema.is_mutable and [(a.name, str(a.type)) for a in pure._schema.arguments] == wanted:
            return pure
    raise UnknownOperatorError(name)


def two_indices(args: Any) -> tuple[Tensor, ...] | None:
    """Both rows of an index that looks sources and targets up at once, such as ``x[edge_index]``."""
    entries = args[1]
    index = entries[0] if len(entries) == 1 else None
    if index is None or index.is_floating_point() or index.dtype == torch.bool:
        return None
    return index.unbind(0) if index.dim() == 2 and index.shape[0] == 2 else None
