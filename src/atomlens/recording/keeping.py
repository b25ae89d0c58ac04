"""Which values of a run are kept, and how much memory the run and what is kept of it take.

A linear program needs the factors that rules freeze, and the states between layers. Of what a model computes per edge
that is little: most is only added up.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from atomlens.recording.operations import argument
from atomlens.recording.operators import OPERATORS, Kind
from atomlens.recording.rows import ATOMS, Layout, ModelRows
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


@dataclass(frozen=True)
class Footprint:
    """Memory of a run in bytes per row, known from a recording that kept everything.

    Attributes
    ----------
    kinds
        Kinds of rows; None for what has no rows.
    kept
        What is kept, shape (K,).
    passing
        What lives beside it while every operator runs, shape (operators, K).
    """

    kinds: tuple[str | None, ...]
    kept: Float[np.ndarray, " K"]
    passing: Float[np.ndarray, "O K"]

    @classmethod
    def of(cls, trace: Trace, rows: ModelRows, counts: Mapping[str, int], keep: Collection[int]) -> Footprint:
        """Every piece of memory once, from when it is made to when it is read last."""
        kinds = (None, *counts)
        per_row = np.array([1.0, *(1.0 / n for n in counts.values())])
        last = {parent: number for number, node in enumerate(trace.nodes) for parent in node.parents()}
        places: dict[Hashable, list[int]] = {}
        for number, node in enumerate(trace.nodes):
            places.setdefault(_place(node.value, number), []).append(number)
        kept, change = np.zeros(len(kinds)), np.zeros((len(trace.nodes) + 2, len(kinds)))
        for numbers in places.values():
            kind = _kind(rows.nodes[numbers[0]], kinds)
            size = _size(trace.nodes[numbers[0]].value) * per_row[kind]
            if any(number in keep for number in numbers):
                kept[kind] += size
            else:
                change[numbers[0], kind] += size
                change[max(last.get(number, number + 1) for number in numbers) + 1, kind] -= size
        signals = set(places)
        constants = {_place(value, -1): k for k, value in enumerate(trace.constants)}
        for place, number in constants.items():
            if place not in signals:
                kind = _kind(rows.constants[number], kinds)
                kept[kind] += _size(trace.constants[number]) * per_row[kind]
        return cls(kinds, kept, change.cumsum(axis=0))

    def bytes_kept(self, counts: Mapping[str, int]) -> float:
        """What is kept of a run on that many rows."""
        return float(self.kept @ self._counts(counts))

    def bytes_at_most(self, counts: Mapping[str, int]) -> float:
        """Most that a run on that many rows takes at a time."""
        return self.bytes_kept(counts) + float((self.passing @ self._counts(counts)).max())

    def _counts(self, counts: Mapping[str, int]) -> Float[np.ndarray, " K"]:
        return np.array([1 if kind is None else counts[kind] for kind in self.kinds], dtype=float)


def _place(value: Tensor, number: int) -> Hashable:
    return ("shape", number) if value.is_meta else value.untyped_storage()._cdata


def _size(value: Tensor) -> int:
    return value.numel() * value.element_size() if value.is_meta else value.untyped_storage().nbytes()


def _kind(layout: Layout | None, kinds: tuple[str | None, ...]) -> int:
    return kinds.index(None if layout is None else layout.kind)
