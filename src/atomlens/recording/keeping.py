"""Which values of a run are kept, and how much memory the run and what is kept of it take.

A linear program needs the factors that rules freeze, and the states between layers. Of what a model computes per edge
that is little: most is only added up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from atomlens.recording.operations import argument
from atomlens.recording.operators import OPERATORS, Kind
from atomlens.recording.rows import ATOMS, ModelRows
from atomlens.recording.trace import Node, Ref, Trace, leaves


def needed_values(trace: Trace, rows: ModelRows) -> frozenset[int]:
    """Nodes whose values some rule freezes, and those of atoms, which states are made of."""
    needed = set(trace.starts)
    for number, node in enumerate(trace.nodes):
        layout = rows.nodes[number]
        if layout is not None and layout.kind == ATOMS and not node.value.is_meta:
            needed.add(number)
        if node.op is not None:
            needed |= _frozen(number, node)
    return frozenset(needed)


def _frozen(number: int, node: Node) -> set[int]:
    """Values that an operator's linear form takes from the recording, under any rule."""
    operator = OPERATORS.get(node.name)
    parents = set(node.parents())
    if operator is None:  # refused, or a bias on request
        return {number, *parents}
    if operator.kind is Kind.UNLINKED:
        return set()
    if operator.kind is Kind.LINEAR:
        linear = (*operator.added, *operator.index)
        return _signals([given for k, given in enumerate(node.args) if k not in linear])
    if operator.kind is Kind.PRODUCT:
        factors = [argument(node, k) for k in operator.factors]
        several = sum(isinstance(factor, Ref) for factor in leaves(factors)) > 1
        # The rule gamma wants to see what a layer of weights is given, and its bias.
        return parents if node.name == "aten.linear" else _signals(factors) if several else set()
    return {number, *parents} if operator.kind in (Kind.ELEMENTWISE, Kind.POWER) else parents


def _signals(arguments: list[object]) -> set[int]:
    return {value.node for value in leaves(arguments) if isinstance(value, Ref)}


class _Living(TorchDispatchMode):
    """Counts the bytes of all tensors that a run has made and not freed, by kind of row, after every operator."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        super().__init__()
        # Many rows first: edges outnumber atoms.
        self.counts = sorted(counts.items(), key=lambda item: -item[1])
        self.alive: dict[int, tuple[StorageWeakRef, str | None, int]] = {}
        self.moments: list[dict[str | None, int]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as the recorder does

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in leaves(out):
            if isinstance(value, Tensor) and value.layout is torch.strided:
                storage = value.untyped_storage()
                if storage._cdata not in self.alive:
                    kind = next((kind for kind, n in self.counts if n and any(d % n == 0 for d in value.shape)), None)
                    self.alive[storage._cdata] = (StorageWeakRef(storage), kind, storage.nbytes())
        self.alive = {place: found for place, found in self.alive.items() if not found[0].expired()}
        living: dict[str | None, int] = {}
        for _, kind, size in self.alive.values():
            living[kind] = living.get(kind, 0) + size
        self.moments.append(living)
        return out


@dataclass(frozen=True)
class Footprint:
    """Memory of a run in bytes per row, known from runs on a cluster.

    Attributes
    ----------
    kinds
        Kinds of rows; None for what has no rows.
    kept
        What is kept of a run, shape (K,).
    living
        What the model itself holds after every operator, shape (operators, K).
    """

    kinds: tuple[str | None, ...]
    kept: Float[np.ndarray, " K"]
    living: Float[np.ndarray, "O K"]

    @classmethod
    def of(
        cls,
        trace: Trace,
        rows: ModelRows,
        counts: Mapping[str, int],
        keep: Collection[int],
        call: Callable[[], object],
    ) -> Footprint:
        """Every piece of memory once.

        Parameters
        ----------
        trace, rows, counts
            A recording of everything on a cluster, and its rows.
        keep
            Nodes whose values are kept of other runs.
        call
            The run that was recorded.
        """
        kinds = (None, *counts)
        per_row = np.array([1.0, *(1.0 / max(1, n) for n in counts.values())])
        tensors = [(rows.nodes[number], trace.nodes[number].value) for number in sorted(keep)]
        tensors += zip(rows.constants, trace.constants, strict=True)
        places = {
            value.untyped_storage()._cdata: (kinds.index(layout and layout.kind), value.untyped_storage().nbytes())
            for layout, value in tensors
        }
        kept = np.zeros(len(kinds))
        for kind, size in places.values():
            kept[kind] += size
        with torch.no_grad(), _Living(counts) as living:
            call()
        moments = np.array([[moment.get(kind, 0) for kind in kinds] for moment in living.moments], dtype=float)
        return cls(kinds, kept * per_row, moments * per_row)

    def bytes_kept(self, counts: Mapping[str, int]) -> float:
        """What is kept of a run on that many rows."""
        return float(self.kept @ self._counts(counts))

    def bytes_at_most(self, counts: Mapping[str, int]) -> float:
        """Most that a run on that many rows takes at a time."""
        return self.bytes_kept(counts) + float((self.living @ self._counts(counts)).max())

    def _counts(self, counts: Mapping[str, int]) -> Float[np.ndarray, " K"]:
        return np.array([1 if kind is None else counts[kind] for kind in self.kinds], dtype=float)
