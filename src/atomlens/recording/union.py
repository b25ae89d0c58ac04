r"""Z(U) for many sets of atoms at once: the recorded run on the rows of all sets side by side.

Messages of the first layer do not depend on the set, so they are computed once; what the last layer's messages add to
the prediction is linear in them, so its derivative is computed once. In between the layers run on the rows of the sets.
"""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.recording.interfaces import Rows
from atomlens.recording.layers import Layers, State
from atomlens.recording.local import LocalRows
from atomlens.recording.rows import Layout
from atomlens.recording.sets import RowFinder, SetRows

# Numbers that one operator makes of a batch's edges: a few MB, so that they stay near the processor.
MAX_NUMBERS = 2**22


class Union:
    """Sums of all relevance inside sets of atoms, by executing a recording on their rows."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.finder = RowFinder(layers.inputs)

    def sums(self, atoms: Int[Tensor, " M"], sizes: Int[Tensor, " S"]) -> Float[Tensor, " S"]:
        """Z(U) of sets given one after the other, without the constant."""
        with torch.no_grad():
            weight = torch.minimum(sizes[torch.repeat_interleave(sizes)], self.finder.degrees[atoms] + 1)
            stops = sizes.cumsum(0)
            load = torch.nn.functional.pad(weight.cumsum(0), (1, 0))[stops]
            batch = torch.div(load - 1, self._batch_size, rounding_mode="floor").clamp(min=0)
            totals = []
            for number in batch.unique().tolist():
                mine = (batch == number).nonzero()[:, 0]
                low, high = int(stops[mine[0]] - sizes[mine[0]]), int(stops[mine[-1]])
                totals.append(self._batch(atoms[low:high], sizes[mine]))
            return torch.cat(totals) if totals else self.layers.trace.value.new_zeros(0)

    @cached_property
    def _batch_size(self) -> int:
        """Edges (or pairs looked up) of one batch."""
        layers, widest = self.layers, 1
        for n in {n for schedule in layers.schedules[1:-1] for n in schedule}:
            layout, value = layers.rows.nodes[n], layers.trace.nodes[n].value
            if layout is not None and value.shape[layout.dim]:
                widest = max(widest, value.numel() // (value.shape[layout.dim] // layout.width))
        return max(64, MAX_NUMBERS // widest)

    def _batch(self, atoms: Tensor, sizes: Tensor) -> Tensor:
        layers, found = self.layers, self.finder.find(atoms, sizes)
        local = LocalRows(layers.trace, layers.rows, found.picks, found.indices)
        n_sets = len(sizes)
        total = layers.trace.value.new_zeros(n_sets)
        for kind, per_row in self._bias_sums.items():
            total.index_add_(0, found.owners[kind], per_row[found.picks[kind]])
        if layers.n_layers < 2:
            for node, per_row in self._row_sums.items():
                kind = self._layout(node).kind
                total.index_add_(0, found.owners[kind], per_row[found.picks[kind]])
            return total
        state = self._last_state(local)
        if self._state_derivatives is not None:
            alone, along = self._state_derivatives
            for node, values in state.items():
                per_atom = self._per_row(local.pick(alone[node], self._layout(node)) * values, self._layout(node))
                total.index_add_(0, found.owners["atoms"], per_atom)
                for name, weights in along.items():
                    sent = values.index_select(0, found.indices[name])
                    product = sent * weights[node].index_select(0, found.picks["edges"])
                    total.index_add_(0, found.owners["edges"], self._per_row(product, self._layout(node)))
            return total
        late = layers.linear.run(state, self._late, local, self._late_schedule)
        for node, values in zip(self._late, late, strict=True):
            layout = self._layout(node)
            weights = local.pick(self._derivatives[node], layout)
            total.index_add_(0, found.owners[layout.kind], self._per_row(weights * values, layout))
        return total

    def _layout(self, node: int) -> Layout:
        layout = self.layers.rows.nodes[node]
        assert layout is not None
        return layout

    def _last_state(self, local: LocalRows) -> State:
        """State before the last layer, on local rows."""
        layers, first = self.layers, 1
        if self._contributions is not None:
            state = self._summed_contributions(local)
            if layers.n_layers > 2:
                state, first = self._states(2, state, self._after_contributions, local), 2
        else:
            given = {n: local.pick(v, layers.rows.nodes[n]) for n, v in self._early.items()}
            schedule = [n for n in layers.schedules[0] if n not in given and layers.cuts.depths[n] > 0]
            state = self._states(1, given, schedule, local)
        for t in range(first, layers.n_layers - 1):
            state = self._states(t + 1, state, layers.schedules[t], local)
        return state

    def _states(self, t: int, given: State, schedule: list[int], local: LocalRows) -> State:
        layers = self.layers
        nodes = layers.cuts.states[t]
        images = layers.linear.run(given, nodes, local, schedule)
        biases = layers.biases[t]
        return {n: image + local.pick(biases[n], layers.rows.nodes[n]) for n, image in zip(nodes, images, strict=True)}

    @cached_property
    def _bias_sums(self) -> dict[str, Tensor]:
        """What the last layer's bias adds to the prediction, by kind of row."""
        layers = self.layers
        found: dict[str, Tensor] = {}
        for node, weights in layers.readout.items():
            values = layers.biases[-1][node] if layers.n_layers else layers.state(0)[node]
            kind = self._layout(node).kind
            per_row = self._per_row(weights * values, self._layout(node))
            found[kind] = found[kind] + per_row if kind in found else per_row
        return found

    @staticmethod
    def _per_row(product: Tensor, layout: Layout) -> Tensor:
        """Sum over all entries of every row."""
        product = product.movedim(layout.dim, 0)
        return (
            product.reshape(product.shape[0] // layout.width, -1).sum(dim=1)
            if product.numel()
            else product.new_zeros(product.shape[0] // layout.width)
        )

    @cached_property
    def _early(self) -> State:
        """Values of the first layer that no other atom has added to: the same in every set."""
        layers = self.layers
        schedule, depths = layers.schedules[0], layers.cuts.depths
        inside = {*schedule, *layers.cuts.states[0]}
        wanted = {n for n in layers.cuts.states[1] if depths[n] == 0 and n in inside}
        for n in schedule:
            if depths[n] > 0:
                wanted |= {p for p in layers.trace.nodes[n].parents() if p in inside and depths[p] == 0}
        outputs = sorted(wanted)
        values = layers.linear.run(layers.state(0), outputs, layers.recorded)
        return dict(zip(outputs, values, strict=True))

    # The first layer's sums are linear in its messages, which are the same in every set. So is what the second layer
    # makes of them before atoms meet again: both are computed once per edge and added up over the edges inside a set.

    @cached_property
    def _frontier(self) -> tuple[list[int], list[int]] | None:
        """Nodes of atoms in the second layer that later ones read, and the way there; None where rows are others."""
        layers = self.layers
        rows, depths = layers.rows, layers.cuts.depths
        sums = [n for n in layers.schedules[0] if n in rows.scatters]
        kinds = {(rows.scatters[n].rows, rows.scatters[n].onto, rows.scatters[n].name) for n in sums}
        if len(kinds) != 1 or not kinds <= {("edges", "atoms", "target"), ("edges", "atoms", "source")}:
            return None
        # Behind its sums a layer may go back to edges (attention whose weights add up to one).
        behind = layers.linear.schedule_behind(sums, layers.cuts.states[1])
        if any((layout := rows.nodes[n]) is None or layout.kind != "atoms" for n in behind):
            return None
        if layers.n_layers == 2:  # the last layer reads the state itself
            nodes = layers.cuts.states[1]
            return (sorted(nodes), []) if all(self._layout(n)[:2] == (0, "atoms") for n in nodes) else None
        schedule = layers.schedules[1]
        own = {n for n in (*schedule, *layers.cuts.states[1]) if depths[n] <= 1}
        layouts = {n: rows.nodes[n] for n in own}
        before = {n for n in own if (layout := layouts[n]) is not None and layout.kind == "atoms"}
        read = {n for n in layers.cuts.states[2] if n in before}
        for n in schedule:
            if n not in before:
                read |= {p for p in layers.trace.nodes[n].parents() if p in before}
        if any(self._layout(n).dim != 0 for n in read):
            return None
        frontier = sorted(read)
        return frontier, [n for n in schedule if n in before]

    @cached_property
    def _after_contributions(self) -> list[int]:
        """Nodes of the second layer behind the frontier."""
        assert self._frontier is not None
        inside = {*self._frontier[0], *self._frontier[1]}
        return [n for n in self.layers.schedules[1] if n not in inside]

    @cached_property
    def _contributions(self) -> tuple[str, State, State] | None:
        """What an atom alone brings to the nodes of the frontier, and what every edge adds to its receiver."""
        if self._frontier is None:
            return None
        layers = self.layers
        frontier, path = self._frontier
        linear, rows, states = layers.linear, layers.rows, layers.cuts.states
        sums = [n for n in layers.schedules[0] if n in rows.scatters]
        name = rows.scatters[sums[0]].name
        receiver = layers.inputs.target if name == "target" else layers.inputs.source
        with torch.no_grad():
            gathers = frozenset(n for n in layers.schedules[0] if n in rows.gathers)
            alone = linear.run(
                layers.state(0), states[1], layers.recorded, linear.schedule(states[0], states[1], gathers)
            )
            base = {n: x + layers.biases[1][n] for n, x in zip(states[1], alone, strict=True)}
            base = dict(zip(frontier, linear.run(base, frontier, layers.recorded, path), strict=True))
            local = LocalRows(layers.trace, rows, {"atoms": receiver}, {})
            summands = [layers.summand(n) for n in sums]
            messages = linear.run(layers.state(0), summands, layers.recorded)
            added = {}
            for n, message in zip(sums, messages, strict=True):
                alpha = layers.trace.nodes[n].kwargs.get("alpha", 1)
                added[n] = message.reshape(tuple(local.shape(n))) * alpha
            behind = linear.schedule_behind(sums, states[1])
            arrived = dict(zip(states[1], linear.run({}, states[1], local, behind, added), strict=True))
            edges = dict(zip(frontier, linear.run(arrived, frontier, local, path), strict=True))
        return name, base, edges

    def _summed_contributions(self, local: LocalRows) -> State:
        """Values at the frontier on local rows."""
        assert self._contributions is not None
        name, base, edges = self._contributions
        receiver, edge, atoms = local.indices[name], local.picks["edges"], local.picks["atoms"]
        found = {}
        for n, value in base.items():
            width = self._layout(n).width
            shape = (-1, width, *value.shape[1:])
            each = edges[n].reshape(shape).index_select(0, edge)
            total = value.reshape(shape).index_select(0, atoms).index_add_(0, receiver, each)
            found[n] = total.flatten(0, 1)
        return found

    @cached_property
    def _last(self) -> tuple[list[int], list[int]]:
        """Nodes where the last layer's messages begin (and what stays), and the nodes behind those."""
        layers = self.layers
        schedule, last = layers.schedules[-1], set(layers.cuts.states[-1])
        gathers = layers.rows.gathers
        inside = {*schedule, *layers.cuts.states[-2]}
        children: dict[int, list[int]] = {n: [] for n in inside}
        for n in schedule:
            for p in set(layers.trace.nodes[n].parents()):
                if p in inside:
                    children[p].append(n)
        before: dict[int, bool] = {}
        for n in sorted(inside, reverse=True):
            before[n] = (n in gathers and n in schedule) or any(before[c] for c in children[n])
        behind = [n for n in schedule if not before[n]]
        late = [
            n
            for n in sorted(inside)
            if (before[n] or n not in schedule) and (n in last or any(not before[c] for c in children[n]))
        ]
        return late, behind

    @property
    def _late(self) -> list[int]:
        return self._last[0]

    @cached_property
    def _late_schedule(self) -> list[int]:
        return self.layers.linear.schedule(self.layers.cuts.states[-2], self._late)

    @cached_property
    def _derivatives(self) -> State:
        """Derivative of the prediction by the values at `_late`, all rows."""
        layers = self.layers
        late, behind = self._last
        with torch.enable_grad():
            leaves = {n: layers.trace.zeros(n).requires_grad_() for n in late}
            outputs = layers.linear.run(leaves, layers.cuts.states[-1], layers.recorded, behind)
            parts = [(layers.readout[n] * v).sum() for n, v in zip(layers.cuts.states[-1], outputs, strict=True)]
            value = torch.stack(parts).sum()
            found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        return dict(zip(late, (g.detach() for g in found), strict=True))

    @cached_property
    def _state_derivatives(self) -> tuple[State, dict[str, State]] | None:
        """Derivatives by the state before the last layer: what an atom adds alone, and what along every edge.

        None where edges carry more than copies of states of atoms.
        """
        layers, rows = self.layers, self.layers.rows
        before, late = layers.cuts.states[-2], self._late
        readers = [n for n in late if n in rows.gathers]
        alone = [n for n in late if n not in rows.gathers]
        sent = {n: layers.trace.nodes[n].args[0].node for n in readers}
        plain = all(self._layout(n) == Layout(0, "atoms", 1) for n in (*before, *alone, *sent.values()))
        if not plain or any(rows.gathers[n].name not in ("source", "target") for n in readers):
            return None
        linear = layers.linear
        gathers = frozenset(n for n in layers.schedules[-1] if n in rows.gathers)
        by_atom = self._pulled(
            {n: self._derivatives[n] for n in alone}, layers.recorded, linear.schedule(before, alone, gathers)
        )
        along = {}
        for name in {rows.gathers[n].name for n in readers}:
            index = layers.inputs.source if name == "source" else layers.inputs.target
            wanted: State = {}
            for n in readers:
                if rows.gathers[n].name == name:
                    given = self._derivatives[n]
                    wanted[sent[n]] = given if sent[n] not in wanted else wanted[sent[n]] + given
            local = LocalRows(layers.trace, rows, {"atoms": index}, {})
            along[name] = self._pulled(wanted, local, linear.schedule(before, list(wanted), gathers))
        return by_atom, along

    def _pulled(self, derivatives: State, rows: Rows, schedule: list[int]) -> State:
        """Derivatives by the state before the last layer from those by later nodes, on rows."""
        layers = self.layers
        before = layers.cuts.states[-2]
        with torch.enable_grad():
            leaves = {n: layers.trace.zeros(n, rows.shape(n)).requires_grad_() for n in before}
            outputs = layers.linear.run(leaves, list(derivatives), rows, schedule)
            parts = [(weights * v).sum() for weights, v in zip(derivatives.values(), outputs, strict=True)]
            found = torch.autograd.grad(
                torch.stack([*parts, *(0.0 * x.sum() for x in leaves.values())]).sum(), list(leaves.values())
            )
        return dict(zip(before, (g.detach() for g in found), strict=True))

    @cached_property
    def _row_sums(self) -> dict[int, Tensor]:
        """Models of one layer: what every row adds, whatever set it is in."""
        layers = self.layers
        if not layers.n_layers:
            return {}
        with torch.no_grad():
            values = layers.linear.run(layers.state(0), self._late, layers.recorded, self._late_schedule)
        found = {}
        for node, value in zip(self._late, values, strict=True):
            found[node] = self._per_row(value * self._derivatives[node], self._layout(node))
        return found

    def plain(self, found: SetRows, n_sets: int) -> Float[Tensor, " S"]:
        """Z(U) layer by layer from the embedding on, nothing computed beforehand: for checks."""
        layers = self.layers
        local = LocalRows(layers.trace, layers.rows, found.picks, found.indices)
        with torch.no_grad():
            state = {n: local.pick(v, layers.rows.nodes[n]) for n, v in layers.state(0).items()}
            for t in range(layers.n_layers):
                state = self._states(t + 1, state, layers.schedules[t], local)
            total = layers.trace.value.new_zeros(n_sets)
            for n, value in state.items():
                layout = self._layout(n)
                per_row = self._per_row(value * local.pick(layers.readout[n], layout), layout)
                total.index_add_(0, found.owners[layout.kind], per_row)
        return total
