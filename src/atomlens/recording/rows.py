"""Which dimension of a recorded tensor runs over atoms, edges or other rows, and which indices map rows onto rows.

Both follow from two recordings of one model on structures whose numbers of atoms, of edges and of further rows differ
by different factors: sizes that follow a number are rows of that kind; an index of rows is recognised by its values.
They belong to the model, not to a structure, so later structures need one recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from atomlens.recording.operators import OPERATORS
from atomlens.recording.source import StructureInputs
from atomlens.recording.trace import Const, Node, Trace, leaves
from atomlens.structures import InputError

ATOMS, EDGES = "atoms", "edges"


class Layout(NamedTuple):
    """Rows of a tensor: their dimension, their kind, and how many entries each has along that dimension."""

    dim: int
    kind: str
    width: int = 1


class RowMap(NamedTuple):
    """An index that maps rows of one kind onto rows of another, by its name among the structure's indices."""

    name: str
    rows: str
    onto: str | None  # None: the structure as a whole


@dataclass(frozen=True)
class ModelRows:
    """What is known of a model's rows.

    Attributes
    ----------
    operators
        Names of the recorded operators, in order: a later recording must have the same.
    nodes, constants
        Layout of every node and constant; None where there are no rows.
    indices
        Constants that map rows, by number.
    gathers, scatters
        Nodes that copy rows along an index, and that add rows up along one.
    """

    operators: tuple[str, ...]
    nodes: tuple[Layout | None, ...]
    constants: tuple[Layout | None, ...]
    indices: dict[int, RowMap]
    gathers: dict[int, RowMap]
    scatters: dict[int, RowMap]


def row_counts(inputs: StructureInputs) -> dict[str, int]:
    """Number of rows of every kind."""
    return {ATOMS: inputs.n_atoms, EDGES: inputs.n_edges} | {
        name: len(further.atoms) for name, further in inputs.rows.items()
    }


def row_indices(inputs: StructureInputs) -> dict[RowMap, Tensor]:
    """All indices of rows that a structure has, by name."""
    found = {
        RowMap("source", EDGES, ATOMS): inputs.source,
        RowMap("target", EDGES, ATOMS): inputs.target,
    }
    for name, further in inputs.rows.items():
        for k, column in enumerate(further.atoms.unbind(1)):
            found[RowMap(f"{name}.atoms.{k}", name, ATOMS)] = column
        for k, column in enumerate(further.edges.unbind(1)):
            found[RowMap(f"{name}.edges.{k}", name, EDGES)] = column
    for kind, count in row_counts(inputs).items():
        found[RowMap(f"arange {kind}", kind, kind)] = torch.arange(count, device=inputs.source.device)
        found[RowMap(f"batch {kind}", kind, None)] = torch.zeros(count, dtype=torch.int64, device=inputs.source.device)
    return found


def collapse(index: Tensor) -> Tensor | None:
    """An index of one dimension, also where it was spread over channels; None if it is something else."""
    if index.is_floating_point() or index.dtype == torch.bool or index.dim() == 0:
        return None
    flat = index
    while flat.dim() > 1:
        if flat.shape[-1] > 1 and not bool((flat[..., :1] == flat).all()):
            return None
        if flat.shape[-1] == 0:
            return None
        flat = flat[..., 0]
    return flat


def find_rows(first: tuple[Trace, StructureInputs], second: tuple[Trace, StructureInputs]) -> ModelRows:
    """Learn a model's rows from two recordings.

    Raises
    ------
    InputError
        If the recordings differ in their operators, or a tensor's rows or an index are not recognised.
    """
    (a, inputs_a), (b, inputs_b) = first, second
    names = tuple(node.name for node in a.nodes)
    if names != tuple(node.name for node in b.nodes) or len(a.constants) != len(b.constants):
        raise InputError("the model runs other operators on another structure; it cannot be recorded")
    counts = {kind: (n, row_counts(inputs_b)[kind]) for kind, n in row_counts(inputs_a).items()}
    nodes = tuple(
        _layout(x.value.shape, y.value.shape, counts, f"the result of {x.name}")
        for x, y in zip(a.nodes, b.nodes, strict=True)
    )
    known_a, known_b = row_indices(inputs_a), row_indices(inputs_b)
    indices: dict[int, RowMap] = {}
    used_as_index = _index_constants(a)
    for number in used_as_index:
        flat_a, flat_b = collapse(a.constants[number]), collapse(b.constants[number])
        if flat_a is None or flat_b is None:
            continue
        for row_map, values in known_a.items():
            if _equal(flat_a, values) and _equal(flat_b, known_b[row_map]):
                indices[number] = row_map
                break
    constants = tuple(
        _layout(x.shape, y.shape, counts, "a constant") for x, y in zip(a.constants, b.constants, strict=True)
    )
    gathers, scatters = {}, {}
    for number, node in enumerate(a.nodes):
        found = _row_map(node, nodes, indices, a, number)
        if found is not None:
            (scatters if found[0] else gathers)[number] = found[1]
    return ModelRows(names, nodes, constants, indices, gathers, scatters)


def check_rows(rows: ModelRows, trace: Trace, inputs: StructureInputs) -> None:
    """Make sure that another recording of the same model has the rows that are known.

    Raises
    ------
    InputError
        If it has not: the model runs differently on this structure.
    """
    counts, indices = row_counts(inputs), row_indices(inputs)
    if rows.operators != tuple(node.name for node in trace.nodes) or len(rows.constants) != len(trace.constants):
        raise InputError("the model runs other operators on this structure than on others; it cannot be recorded")
    pairs = [(layout, node.value) for layout, node in zip(rows.nodes, trace.nodes, strict=True)]
    pairs += list(zip(rows.constants, trace.constants, strict=True))
    for layout, value in pairs:
        if layout is not None and value.shape[layout.dim] != counts[layout.kind] * layout.width:
            raise InputError(
                f"a tensor of shape {tuple(value.shape)} should have {layout.width} x {counts[layout.kind]} rows "
                f"({layout.kind}) along dimension {layout.dim}; the model runs differently on this structure"
            )
    for number, row_map in rows.indices.items():
        values = trace.constants[number]
        flat = values.flatten() if not values.numel() else collapse(values)
        if flat is None or (values.numel() and not _equal(flat, indices[row_map])):
            raise InputError(f"the index {row_map.name} of the model has other values than the structure's own")


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a == b).all())


def _layout(a: Sequence[int], b: Sequence[int], counts: dict[str, tuple[int, int]], what: str) -> Layout | None:
    changed = [d for d in range(len(a)) if a[d] != b[d]] if len(a) == len(b) else None
    if changed is None or len(changed) > 1:
        raise InputError(
            f"{what} has shapes {tuple(a)} and {tuple(b)} on two structures: no single dimension of atoms or edges; "
            "such a model cannot be recorded"
        )
    if not changed:
        return None
    d = changed[0]
    fits = [
        Layout(d, kind, a[d] // n)
        for kind, (n, m) in counts.items()
        if n and m and a[d] % n == 0 and b[d] % m == 0 and a[d] // n == b[d] // m
    ]
    if not fits:
        have = ", ".join(f"{n} and {m} {kind}" for kind, (n, m) in counts.items())
        raise InputError(
            f"{what} has {a[d]} and {b[d]} rows on two structures, which are no rows that the model names ({have})"
        )
    return min(fits, key=lambda layout: layout.width)


def _index_constants(trace: Trace) -> list[int]:
    """Constants that serve as an index somewhere."""
    found = set()
    for node in trace.nodes:
        if node.name not in OPERATORS:
            continue
        for k in OPERATORS[node.name].index:
            if k < len(node.args):
                found |= {a.number for a in leaves((node.args[k],)) if isinstance(a, Const)}
    return sorted(found)


_GATHERS = frozenset({"aten.index_select", "aten.gather", "aten.index", "aten.embedding"})
_SCATTERS = frozenset(
    f"aten.{name}"
    for name in [
        "index_add",
        "scatter_add",
        "scatter_reduce",
        "scatter",
        "index_copy",
        "index_put",
        "_unsafe_index_put",
    ]
)


def _row_map(
    node: Node, layouts: Sequence[Layout | None], indices: dict[int, RowMap], trace: Trace, number: int
) -> tuple[bool, RowMap] | None:
    """Whether a node adds rows up (or copies them), and along which index; None if it leaves rows alone."""
    if node.name not in _GATHERS | _SCATTERS:
        return None
    scatter = node.name in _SCATTERS
    layout = layouts[number]
    moved = _signal_layout(node, layouts, 0) if not scatter else layout
    place = OPERATORS[node.name].index[0]
    argument = node.args[place]
    if node.name in ("aten.index", "aten.index_put", "aten._unsafe_index_put"):
        dim = moved.dim if moved is not None else None
        entries = list(argument)
        if scatter and dim is None:
            dim = 0
        chosen = entries[dim] if dim is not None and dim < len(entries) else None
    else:
        dims = 0 if node.name == "aten.embedding" else node.args[1] % max(1, node.value.dim())
        if moved is not None and moved.dim != dims:
            return None  # channels are chosen
        chosen = argument
    if not isinstance(chosen, Const):
        return None
    found = indices.get(chosen.number)
    if found is None:
        if moved is None and not scatter:
            return None
        if moved is None and layout is None and trace.constants[chosen.number].dim() == 0:
            return None
        if scatter and layout is None and not _touches_rows(node, layouts):
            return None
        raise InputError(
            f"{node.name} takes an index of {tuple(trace.constants[chosen.number].shape)} atoms or edges that the "
            "model does not name (known: source, target, all rows in order, and further rows)"
        )
    if found.onto == found.rows and found.name.startswith("arange"):
        return None
    return scatter, found


def _touches_rows(node: Node, layouts: Sequence[Layout | None]) -> bool:
    return any(layouts[parent] is not None for parent in node.parents())


def _signal_layout(node: Node, layouts: Sequence[Layout | None], place: int) -> Layout | None:
    argument = node.args[place]
    return layouts[argument.node] if hasattr(argument, "node") else None
