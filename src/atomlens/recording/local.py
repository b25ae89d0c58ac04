"""The rows of many sets of atoms side by side, and recorded tensors gathered onto them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atomlens.recording.rows import EDGES, Layout, ModelRows
from atomlens.recording.trace import Trace


class LocalRows:
    """Rows of a recording, copied in any number and order.

    Parameters
    ----------
    picks
        Recorded row of every local row, by kind.
    indices
        Local form of the structure's indices, by name: local row of the kind that the index maps onto.
    """

    def __init__(self, trace: Trace, rows: ModelRows, picks: dict[str, Tensor], indices: dict[str, Tensor]) -> None:
        self.trace = trace
        self.rows = rows
        self.picks = picks
        self.indices = indices
        self._kept: dict[tuple[int, str], Tensor] = {}

    def pick(self, full: Tensor, layout: Layout | None) -> Tensor:
        """Rows of a recorded tensor."""
        if layout is None:
            return full
        dim, kind, width = layout
        if width == 1:
            return full.index_select(dim, self.picks[kind])
        shape = [*full.shape[:dim], full.shape[dim] // width, width, *full.shape[dim + 1 :]]
        return full.reshape(shape).index_select(dim, self.picks[kind]).flatten(dim, dim + 1)

    def value(self, node: int) -> Tensor:
        """What a node gave, on these rows."""
        key = (node, "value")
        if key not in self._kept:
            self._kept[key] = self.pick(self.trace.nodes[node].value, self.rows.nodes[node])
        return self._kept[key]

    def like(self, full: Tensor, node: int, name: str) -> Tensor:
        """A tensor with the rows of a node."""
        return self.pick(full, self.rows.nodes[node])

    def constant(self, number: int) -> Tensor:
        """A constant on these rows."""
        key = (number, "constant")
        if key not in self._kept:
            self._kept[key] = self.pick(self.trace.constants[number], self.rows.constants[number])
        return self._kept[key]

    def constant_shape(self, number: int) -> Sequence[int]:
        """Shape of a constant on these rows."""
        return self._local_shape(self.trace.constants[number], self.rows.constants[number])

    def _local_shape(self, full: Tensor, layout: Layout | None) -> list[int]:
        shape = list(full.shape)
        if layout is not None:
            shape[layout.dim] = len(self.picks[layout.kind]) * layout.width
        return shape

    def index(self, number: int) -> Tensor:
        """An index, renumbered, spread over channels where the recorded one was."""
        row_map = self.rows.indices.get(number)
        if row_map is None:
            return self.constant(number)
        recorded = self.trace.constants[number]
        if row_map.onto is None:
            local = torch.zeros(len(self.picks[row_map.rows]), dtype=recorded.dtype, device=recorded.device)
        elif row_map.name.startswith("arange"):
            local = torch.arange(len(self.picks[row_map.rows]), dtype=recorded.dtype, device=recorded.device)
        else:
            local = self.indices[row_map.name].to(recorded.dtype)
        if recorded.dim() > 1:
            local = local.reshape(-1, *[1] * (recorded.dim() - 1)).expand(-1, *recorded.shape[1:])
        return local

    def shape(self, node: int) -> Sequence[int]:
        """Shape of a node's value on these rows."""
        return self._local_shape(self.trace.nodes[node].value, self.rows.nodes[node])

    def numbers(self, node: int) -> Tensor | None:
        """Recorded row of each local row."""
        layout = self.rows.nodes[node]
        if layout is None:
            return None
        if layout.dim != 0:
            raise NotImplementedError("rows that do not come first have no numbers")
        pick = self.picks[layout.kind]
        if layout.width == 1:
            return pick
        return (pick[:, None] * layout.width + torch.arange(layout.width, device=pick.device)).flatten()

    @property
    def n_edges(self) -> int:
        """Number of local edges."""
        return len(self.picks[EDGES])
