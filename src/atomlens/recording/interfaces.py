"""What linearisation asks of a rule and of rows; and the rows of the recording itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from atomlens.recording.trace import Trace


@runtime_checkable
class LinearRule(Protocol):
    """What linearisation asks of a rule: `atomlens.chain.Gate`, `Gamma` and `Gradient` are such."""

    name: str
    product_share: float

    def gain(self, activation: Callable[[Tensor], Tensor], y: Tensor, value: Tensor | None = None) -> Tensor:
        """Frozen factor g of an elementwise function."""
        ...

    def linear(self, weight: Tensor, bias: Tensor | None, x: Tensor) -> Any:
        """Affine map of a layer of weights; its operator applies to rows."""
        ...


@runtime_checkable
class Rows(Protocol):
    """On which rows a linear map is executed."""

    def value(self, node: int) -> Tensor:
        """What a node gave, on these rows."""
        ...

    def like(self, full: Tensor, node: int, name: str) -> Tensor:
        """Another tensor with the rows of a node's value, on these rows; `name` tells several of one node apart."""
        ...

    def constant(self, number: int) -> Tensor:
        """A constant on these rows."""
        ...

    def constant_shape(self, number: int) -> Sequence[int]:
        """Shape of a constant on these rows."""
        ...

    def index(self, number: int) -> Tensor:
        """A constant that numbers rows, renumbered for these rows."""
        ...

    def shape(self, node: int) -> Sequence[int]:
        """Shape of a node's value on these rows."""
        ...

    def numbers(self, node: int) -> Tensor | None:
        """Recorded row of each of these rows of a node whose rows come first; None if they are the recorded ones."""
        ...


class RecordedRows:
    """The rows of the recording itself."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def value(self, node: int) -> Tensor:
        """What the node gave."""
        return self.trace.nodes[node].value

    def like(self, full: Tensor, node: int, name: str) -> Tensor:
        """The tensor itself."""
        return full

    def constant(self, number: int) -> Tensor:
        """The constant itself."""
        return self.trace.constants[number]

    index = constant

    def constant_shape(self, number: int) -> Sequence[int]:
        """Its recorded shape."""
        return self.trace.constants[number].shape

    def shape(self, node: int) -> Sequence[int]:
        """Its recorded shape."""
        return self.trace.nodes[node].value.shape

    def numbers(self, node: int) -> Tensor | None:
        """None: all rows, in order."""
        return None
