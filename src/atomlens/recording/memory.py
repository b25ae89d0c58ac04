"""Which tensors look into which memory while a model runs. They may end: an address is not given twice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef


class Known(NamedTuple):
    """Node of a tensor, while it looks into this memory and that has this version."""

    node: int
    memory: Memory
    version: int


class Place(NamedTuple):
    """How a tensor looks into its memory."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int | torch.SymInt

    @classmethod
    def of(cls, tensor: Tensor) -> Place:
        """Place of a tensor."""
        return cls(tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.storage_offset())


class Memory:
    """A piece of memory that holds signals, and how often it changed.

    Attributes
    ----------
    nodes
        Nodes of all tensors that were seen since the last change, by their place.
    """

    def __init__(self, tensor: Tensor) -> None:
        # While there is a weak reference, no other memory gets the same address.
        self.reference = StorageWeakRef(tensor.untyped_storage())
        self.version = 0
        self.nodes: dict[Place, int] = {}

    def change(self) -> None:
        """Take a new content, of which nothing is known yet."""
        self.version += 1
        self.nodes = {}


def where(tensor: Tensor) -> int:
    """Which piece of memory a tensor looks into; none that others do for sparse ones, which have no storage."""
    return tensor.untyped_storage()._cdata if tensor.layout is torch.strided else -id(tensor)
