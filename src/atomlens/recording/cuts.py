"""Where a recorded run is cut into layers: minimum cuts between messages, as late as possible.

Layer t holds the messages that are added up for the (t + 1)-th time. Its state is what all signals pass before those
messages are sent: the set of nodes of least total width that separates them, and of several such sets the last one.
Read-outs of earlier layers so become channels, one wide, that ride along. Late cuts put biases where the closed forms
put them: into the state of the atom that receives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atomlens.recording.linear import LinearMap
from atomlens.recording.rows import ATOMS, ModelRows

# States of edges are cut only where no states of atoms can be: a chain has none.
_FOR_OTHER_ROWS = 10_000
_UNBOUNDED = 2**30


@dataclass(frozen=True)
class Cuts:
    """States between the layers of a run.

    Attributes
    ----------
    states
        Nodes of every state: the beginnings of the signals, those between layers, and those after the last.
    depths
        For every node how many times messages had been added up; -1 where no relevance passes.
    ends
        Nodes whose rows are added up to the prediction.
    """

    states: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...]
    ends: tuple[int, ...]


def find_cuts(linear: LinearMap, rows: ModelRows) -> Cuts:
    """Cut a recorded run into its layers."""
    nodes, live = linear.trace.nodes, linear.live
    result = linear.trace.result
    depths = [-1] * len(nodes)
    total = [False] * len(nodes)  # after rows were added up to the prediction
    children: list[list[int]] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        if not live[number]:
            continue
        parents = [p for p in node.parents() if depths[p] >= 0]
        if node.op is not None and not parents:
            continue
        adds_up = number in rows.scatters and rows.scatters[number].onto == ATOMS
        depths[number] = max([depths[p] for p in parents], default=0) + adds_up
        total[number] = rows.nodes[number] is None or any(total[p] for p in parents)
        for p in set(parents):
            children[p].append(number)
    used = _upstream(result, nodes, depths)
    ends = tuple(
        n for n in sorted(used) if not total[n] and (n == result or any(total[c] and c in used for c in children[n]))
    )
    inner = [n for n in sorted(used) if not total[n]]
    starts = tuple(n for n in inner if nodes[n].op is None)
    n_layers = max((depths[n] for n in inner), default=0)
    later = [_cut(t, inner, starts, ends, children, depths, linear, rows) for t in range(1, n_layers + 1)]
    return Cuts((starts, *later), tuple(depths), ends)


def _upstream(result: int | None, nodes: list, depths: list[int]) -> set[int]:  # type: ignore[type-arg]
    found: set[int] = set()
    waiting = [] if result is None else [result]
    while waiting:
        number = waiting.pop()
        if number not in found and depths[number] >= 0:
            found.add(number)
            waiting += nodes[number].parents()
    return found


def _cut(
    t: int,
    inner: list[int],
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    children: list[list[int]],
    depths: list[int],
    linear: LinearMap,
    rows: ModelRows,
) -> tuple[int, ...]:
    """Latest minimum cut that has all sums up to the t-th before it and all later ones behind it."""
    place = {n: k for k, n in enumerate(inner)}
    source, sink = 2 * len(inner), 2 * len(inner) + 1
    arcs: dict[tuple[int, int], int] = {}
    for n in inner:
        layout = rows.nodes[n]
        assert layout is not None
        value = linear.trace.nodes[n].value
        width = max(1, value.numel() // max(1, value.shape[layout.dim] // layout.width))
        k = place[n]
        arcs[2 * k, 2 * k + 1] = width if layout.kind == ATOMS else width * _FOR_OTHER_ROWS
        for child in children[n]:
            if child in place:
                arcs[2 * k + 1, 2 * place[child]] = _UNBOUNDED
                # What is before the cut is made of what is before it: no sum that comes later enters its state.
                arcs[2 * place[child], 2 * k] = _UNBOUNDED
        adds_up = n in rows.scatters and rows.scatters[n].onto == ATOMS
        if n in starts or (adds_up and depths[n] <= t):
            arcs[source, 2 * k] = _UNBOUNDED
        if (adds_up and depths[n] > t) or (n in ends):
            # A sum may not be the cut itself, an end may.
            arcs[(2 * k if adds_up and depths[n] > t else 2 * k + 1), sink] = _UNBOUNDED
    size = 2 * len(inner) + 2
    if not arcs:
        return ()
    (i, j), capacity = np.array(list(arcs)).T, np.array(list(arcs.values()), dtype=np.int32)
    # Only recordings need them, and all of SciPy takes half a second to load.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    graph = csr_array((capacity, (i, j)), shape=(size, size))
    flow = maximum_flow(graph, source, sink).flow
    left = graph - flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    # What still reaches the end is behind the latest cut.
    behind = set(breadth_first_order(csr_array(left.T), sink, return_predecessors=False).tolist())
    return tuple(n for n in inner if 2 * place[n] not in behind and 2 * place[n] + 1 in behind)
