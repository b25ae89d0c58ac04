r"""A recorded structure as layers of linear maps between cuts.

.. math:: x^{(t+1)} = L^{(t)} x^{(t)} + b^{(t+1)}, \qquad y = \sum_i r_i \cdot x^{(T)}_i + c

States are values at the nodes of a cut, most of them of atoms. What a layer adds besides its linear map is the bias of
the rows that receive it. Constants that are added to a number per atom (reference energies, the last bias of a
read-out) are part of c.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atomlens.recording.cuts import Cuts, find_cuts
from atomlens.recording.interfaces import LinearRule, RecordedRows
from atomlens.recording.linear import LinearMap
from atomlens.recording.operators import OPERATORS, Kind
from atomlens.recording.rows import ATOMS, EDGES, ModelRows
from atomlens.recording.source import StructureInputs
from atomlens.recording.trace import Const, Ref, Trace, leaves

State = dict[int, Tensor]


class Layers:
    """One recorded structure under a rule, cut into layers.

    Attributes
    ----------
    linear, rows, cuts, inputs
        The linear map, the model's rows, where it is cut, and the structure.
    biases
        What enters at every state (none at the first), by node.
    readout
        r by node of the last state.
    constant, prediction
        c and y in the model's unit.
    """

    def __init__(
        self,
        trace: Trace,
        rows: ModelRows,
        inputs: StructureInputs,
        rule: LinearRule,
        masks: dict[int, Tensor] | None = None,
        as_bias: Sequence[str] = (),
        cuts: Cuts | None = None,
    ) -> None:
        self.trace = trace
        self.inputs = inputs
        self.rows = rows
        self.linear = LinearMap(trace, rule, masks, as_bias)
        self.cuts = find_cuts(self.linear, rows) if cuts is None else cuts
        self.recorded = RecordedRows(trace)
        self.prediction = float(trace.value)
        self.schedules = [
            self.linear.schedule(self.cuts.states[t], self.cuts.states[t + 1]) for t in range(self.n_layers)
        ]
        with torch.no_grad():
            self.biases: list[State] = [{}] + [self._bias(t) for t in range(self.n_layers)]
        self.readout = self._readout()
        self._take_constants_off()

    @property
    def n_layers(self) -> int:
        """Number T of layers."""
        return len(self.cuts.states) - 1

    def state(self, t: int) -> State:
        """Recorded state after t layers: what of it carries relevance."""
        found = {}
        for node in self.cuts.states[t]:
            value, mask = self.trace.nodes[node].value, self.linear.masks.get(node)
            found[node] = value if mask is None else value * mask
        return found

    def step(self, t: int, state: State) -> State:
        """Apply one layer's linear map to all rows."""
        outputs = self.cuts.states[t + 1]
        images = self.linear.run(state, outputs, self.recorded, self.schedules[t])
        return dict(zip(outputs, images, strict=True))

    def step_back(self, t: int, derivatives: State) -> State:
        """Apply one layer's transposed map to all rows, to derivatives by the state after it."""
        with torch.enable_grad():
            zeros = {n: self.trace.zeros(n).requires_grad_() for n in self.cuts.states[t]}
            images = self.step(t, zeros)
            value = torch.stack([(derivatives[n] * image).sum() for n, image in images.items()]).sum()
            found = torch.autograd.grad(value, list(zeros.values()), materialize_grads=True)
        return dict(zip(zeros, found, strict=True))

    def per_atom(self, weights: State, state: State) -> Tensor:
        """Product of two states, by atom; rows of several atoms are theirs in equal parts."""
        inputs = self.inputs
        total = self.trace.value.new_zeros(inputs.n_atoms)
        for node, value in state.items():
            layout = self.rows.nodes[node]
            assert layout is not None
            product = (weights[node] * value).movedim(layout.dim, 0)
            parts = product.reshape(product.shape[0] // layout.width, -1).sum(dim=1)
            if layout.kind == ATOMS:
                total += parts
                continue
            edges = torch.stack([inputs.target, inputs.source], dim=1)
            touched = edges if layout.kind == EDGES else inputs.rows[layout.kind].atoms
            for column in touched.unbind(1):
                total.index_add_(0, column, parts / touched.shape[1])
        return total

    def summand(self, number: int) -> int:
        """Node whose rows a sum adds up."""
        node = self.trace.nodes[number]
        return node.args[2 if node.name in ("aten.index_put", "aten._unsafe_index_put") else 3].node

    def _bias(self, t: int) -> State:
        image, after = self.step(t, self.state(t)), self.state(t + 1)
        return {node: after[node] - image[node] for node in after}

    def _readout(self) -> State:
        last = self.cuts.states[-1]
        result = self.trace.result
        if result is None or not last:
            return {}
        with torch.enable_grad():
            leaves = {n: self.trace.zeros(n).requires_grad_() for n in last}
            (value,) = self.linear.run(leaves, [result], self.recorded)
            weights = torch.autograd.grad(value.sum(), list(leaves.values()), materialize_grads=True)
        return dict(zip(last, (w.detach() for w in weights), strict=True))

    def _take_constants_off(self) -> None:
        after = self.state(self.n_layers)
        with torch.no_grad():
            constants = _constant_parts(self.linear, self.rows)
            self.constant = self.prediction
            for node, weights in self.readout.items():
                part = constants.get(node)
                self.constant -= float((weights * after[node]).sum())
                if part is not None and self.n_layers:
                    part = part.expand_as(after[node])
                    self.constant += float((weights * part).sum())
                    self.biases[-1][node] = self.biases[-1][node] - part

    def bias_share(self) -> float:
        """What operators that are treated as biases on request add to the prediction."""
        given = {
            n: node.value
            for n, node in enumerate(self.trace.nodes)
            if node.op is not None and node.name in self.linear.as_bias and node.value.is_floating_point()
        }
        if not given or self.trace.result is None:
            return 0.0
        with torch.no_grad():
            (value,) = self.linear.run(given, [self.trace.result], self.recorded)
        return float(value.sum())

    def refusal(self) -> str | None:
        """Why there is no chain; None if there is one."""
        for state in self.cuts.states:
            for node in state:
                layout = self.rows.nodes[node]
                if layout is None or layout.kind != ATOMS or layout.dim != 0:
                    return (
                        f"the model hands states of {'the structure' if layout is None else layout.kind} from layer to "
                        "layer, so relevance does not go from atom to atom"
                    )
        # Messages are sent along the same index everywhere, and added up along the other.
        used = {n for schedule in self.schedules for n in schedule}
        sent = {self.rows.gathers[n].name for n in used if n in self.rows.gathers}
        received = {self.rows.scatters[n].name for n in used if n in self.rows.scatters}
        kinds = {self.rows.nodes[n].kind for n in used if self.rows.nodes[n] is not None}  # type: ignore[union-attr]
        if kinds - {ATOMS, EDGES}:
            return f"messages run over {', '.join(sorted(kinds - {ATOMS, EDGES}))} too, not along pairs of atoms alone"
        if len(sent) > 1 or len(received) > 1 or sent & received:
            return "messages read the state of the atom that receives them, so a step of a walk would depend on two"
        return None


def _constant_parts(linear: LinearMap, rows: ModelRows) -> State:
    """What constants alone add to numbers of atoms, by node: through operators that no signal influences."""
    parts: State = {}
    recorded = RecordedRows(linear.trace)
    for number, node in enumerate(linear.trace.nodes):
        layout = rows.nodes[number]
        if node.op is None or not linear.live[number] or layout is None or number in rows.gathers:
            continue
        operator = OPERATORS.get(node.name)
        if operator is None:
            continue
        reached = any(parent in parts for parent in node.parents())
        one_wide = node.value.numel() == node.value.shape[layout.dim] // layout.width
        constant = _added_constant(linear, number) if one_wide else None
        if not reached and constant is None:
            continue
        part: Tensor | None = None
        if reached and operator.kind is Kind.LINEAR:
            part = linear.operations.execute(number, parts, recorded)
        elif reached and operator.kind in (Kind.PRODUCT, Kind.QUOTIENT):
            factors = node.args[1] if node.name == "aten.einsum" else [node.args[k] for k in operator.factors]
            signals = [f for f in leaves(list(factors)) if isinstance(f, Ref)]
            gamma = node.name == "aten.linear" and linear.rule.name == "gamma"
            if len(signals) == 1 and not gamma:
                part = linear.operations.execute(number, parts, recorded)
        if constant is not None:
            part = constant if part is None else part + constant
        if part is not None:
            parts[number] = part
    return parts


def _added_constant(linear: LinearMap, number: int) -> Tensor | None:
    """Constant that an operator adds to a signal."""
    node = linear.trace.nodes[number]
    name = node.name
    recorded = RecordedRows(linear.trace)
    if name in ("aten.add", "aten.sub", "aten.rsub"):
        a, b = node.args[:2]
        first, second = (not isinstance(x, Ref) for x in (a, b))
        if first == second:
            return None
        alpha = node.kwargs.get("alpha", node.args[2] if len(node.args) > 2 else 1)
        signs = {"aten.add": (1, alpha), "aten.sub": (1, -alpha), "aten.rsub": (-alpha, 1)}[name]
        value = (a, b)[second]
        value = recorded.constant(value.number) if isinstance(value, Const) else torch.tensor(float(value))
        return (value * signs[second]).to(linear.trace.value.device, node.value.dtype).expand(node.value.shape)
    place = {"aten.linear": 2, "aten.addmm": 0, "aten.baddbmm": 0, "aten.addmv": 0, "aten.addcmul": 0}.get(name)
    if place is None or len(node.args) <= place or not isinstance(node.args[place], Const):
        return None
    return (recorded.constant(node.args[place].number) * node.kwargs.get("beta", 1)).expand(node.value.shape)
