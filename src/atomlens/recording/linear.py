r"""A recorded run as a linear map of its signals, under a rule.

What is added (biases, constants) is left out: the map is :math:`L` in :math:`v = L x + b`. Factors that the rule
freezes are taken from the recording; on other rows (`rows`) they are gathered.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from atomlens.recording.interfaces import LinearRule, Rows
from atomlens.recording.operations import Operations, argument
from atomlens.recording.operators import OPERATORS, Kind
from atomlens.recording.trace import Node, Ref, Trace, UnknownOperatorError, leaves


class LinearMap:
    """The linear map of a trace under a rule.

    Attributes
    ----------
    trace, rule
        What was recorded, and how non-linear parts are frozen.
    live
        Whether a node carries relevance; all others are constants.
    masks
        For nodes of which only some entries carry relevance: those entries as ones, broadcastable to the value.
    """

    def __init__(
        self,
        trace: Trace,
        rule: LinearRule,
        masks: dict[int, Tensor] | None = None,
        as_bias: Sequence[str] = (),
    ) -> None:
        self.trace = trace
        self.rule = rule
        self.masks = masks or {}
        self.as_bias = frozenset(as_bias)
        self.gradient = rule.product_share == 1.0
        self.live = self._find_live()
        self.operations = Operations(trace, rule, self.masks, self.live)

    def _find_live(self) -> list[bool]:
        live: list[bool] = []
        for number, node in enumerate(self.trace.nodes):
            mask = self.masks.get(number)
            if (mask is not None and not mask.any()) or not node.value.is_floating_point():
                live.append(False)
            elif node.op is None:
                live.append(True)
            else:
                live.append(node.name not in self.as_bias and self._carries(node, live))
        return live

    def _carries(self, node: Node, live: list[bool]) -> bool:
        operator = OPERATORS.get(node.name)
        if operator is None:
            if any(live[parent] for parent in node.parents()):
                raise UnknownOperatorError(node.name)
            return False
        if operator.kind is Kind.UNLINKED:
            return False
        if node.name == "aten.scatter_reduce" and argument(node, 4) != "sum":
            raise UnknownOperatorError(f"aten.scatter_reduce ({argument(node, 4)})")
        if self.gradient:
            return any(live[parent] for parent in node.parents())
        if operator.kind is Kind.FROZEN or (operator.kind is Kind.POWER and not self._positive_power(node)):
            return False
        slots = operator.factors[:1] if operator.kind is Kind.QUOTIENT else (*operator.factors, *operator.added)
        if node.name == "aten.pow" and isinstance(node.args[0], int | float):
            return False
        return any(live[a.node] for k in slots for a in leaves(argument(node, k)) if isinstance(a, Ref))

    @staticmethod
    def _positive_power(node: Node) -> bool:
        return node.name != "aten.pow" or (isinstance(argument(node, 1), int | float) and argument(node, 1) > 0)

    def schedule(self, inputs: Sequence[int], outputs: Sequence[int], stop: frozenset[int] = frozenset()) -> list[int]:
        """Nodes to execute between inputs and outputs, in order; nothing passes through `stop`."""
        known = set(inputs)
        depends = set(inputs)
        for number in range(len(self.trace.nodes)):
            node = self.trace.nodes[number]
            passes = number not in known and number not in stop and self.live[number]
            if passes and any(parent in depends for parent in node.parents()):
                depends.add(number)
        needed, waiting = set(), [o for o in outputs if o in depends]
        while waiting:
            number = waiting.pop()
            if number in needed or number in known:
                continue
            needed.add(number)
            waiting += [parent for parent in self.trace.nodes[number].parents() if parent in depends]
        return sorted(needed)

    def schedule_behind(self, sums: Sequence[int], outputs: Sequence[int]) -> list[int]:
        """Nodes from sums of messages (these included) to outputs, in order."""
        depends, needed = set(sums), set()
        for number, node in enumerate(self.trace.nodes):
            if self.live[number] and any(parent in depends for parent in node.parents()):
                depends.add(number)
        waiting = [o for o in outputs if o in depends]
        while waiting:
            number = waiting.pop()
            if number not in needed:
                needed.add(number)
                waiting += [parent for parent in self.trace.nodes[number].parents() if parent in depends]
        return sorted(needed)

    def run(
        self,
        given: dict[int, Tensor],
        outputs: Sequence[int],
        rows: Rows,
        schedule: Sequence[int] | None = None,
        added: dict[int, Tensor] | None = None,
    ) -> list[Tensor]:
        """Execute the map on rows: from values at some nodes to those at others; zeros where nothing arrives.

        Values of `added` come on top of what its nodes make of the given ones.
        """
        if schedule is None:
            schedule = self.schedule([*given, *(added or {})], outputs)
        state: dict[int, Tensor] = dict(given)
        added = added or {}
        last: dict[int, int] = {}
        for number in schedule:
            for parent in self.trace.nodes[number].parents():
                last[parent] = number
        wanted = set(outputs)
        for number in schedule:
            node = self.trace.nodes[number]
            value = self.operations.execute(number, state, rows)
            if number in added:
                value = added[number] if value is None else value + added[number]
            if value is not None:
                mask = self.masks.get(number)
                state[number] = value if mask is None else value * mask
            for parent in set(node.parents()):
                if last[parent] == number and parent not in wanted:
                    state.pop(parent, None)
        return [self.trace.zeros(o, rows.shape(o)) if o not in state else state[o] for o in outputs]
