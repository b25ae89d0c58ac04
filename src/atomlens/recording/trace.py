"""What was recorded of a run: operators, their arguments and what they gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from atomlens.recording.operators import name_of
from atomlens.structures import InputError


class Ref(NamedTuple):
    """An argument that is a signal: the node that made it."""

    node: int


class Const(NamedTuple):
    """An argument that is a tensor no signal reaches: its number in `Trace.constants`."""

    number: int


@dataclass
class Node:
    """One operator that a signal reached, or (without operator) the beginning of a signal.

    Attributes
    ----------
    op
        The operator, in its pure form; None for a beginning.
    args, kwargs
        Its arguments; tensors are `Ref` and `Const`.
    value
        What it gave, shape as recorded; on torch's meta device where only the shape was kept.
    """

    op: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    value: Tensor
    _parents: list[int] | None = None
    _name: str | None = None

    @property
    def name(self) -> str:
        """Name of the operator, such as ``aten.mul``."""
        if self._name is None:
            self._name = "start" if self.op is None else name_of(self.op)
        return self._name

    def parents(self) -> list[int]:
        """Nodes that it reads."""
        if self._parents is None:
            self._parents = [a.node for a in leaves((self.args, self.kwargs)) if isinstance(a, Ref)]
        return self._parents


def leaves(value: Any) -> Iterator[Any]:
    """All arguments, those in lists too; `Ref` and `Const` whole."""
    if isinstance(value, Ref | Const):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


@dataclass
class Trace:
    """The operators of one run, in order.

    Attributes
    ----------
    nodes
        Beginnings of signals and operators; each reads only earlier ones.
    constants
        Tensors that operators take besides signals.
    result
        Node of the run's result; None if no signal reached it.
    value
        The result itself.
    numbers
        Place of every node among all that the run did with signals, also what does not lead to the result.
    """

    nodes: list[Node] = field(default_factory=list)
    constants: list[Tensor] = field(default_factory=list)
    result: int | None = None
    value: Tensor = field(default_factory=lambda: torch.zeros(()))
    numbers: tuple[int, ...] = ()

    def zeros(self, node: int, shape: Sequence[int] | None = None) -> Tensor:
        """Zeros like the value of a node, of its shape or another."""
        like = self.nodes[node].value
        return torch.zeros(like.shape if shape is None else tuple(shape), dtype=like.dtype, device=self.value.device)

    @property
    def starts(self) -> list[int]:
        """Beginnings of signals."""
        return [i for i, node in enumerate(self.nodes) if node.op is None]


class UnknownOperatorError(InputError):
    """An operator that no rule covers."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the model applies {name} to atom states; no rule says how its relevance is passed on. Its output can be "
            f"treated as a bias on request: as_bias=({name!r},)"
        )
        self.operator = name
