"""The linear form of every kind of operator, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from atomlens.recording.interfaces import LinearRule, RecordedRows, Rows
from atomlens.recording.operators import OPERATORS, Kind, Operator
from atomlens.recording.trace import Const, Node, Ref, Trace, UnknownOperatorError, leaves
from atomlens.structures import InputError

# Operators whose sizes are arguments: they are executed as a reshape to the size that these rows want.
_RESHAPES = frozenset(
    f"aten.{name}"
    for name in [
        "view",
        "reshape",
        "_unsafe_view",
        "_reshape_alias",
        "view_as",
        "flatten",
        "unflatten",
        "squeeze",
        "contiguous",
    ]
)
_EXPANDS = frozenset({"aten.expand", "aten.expand_as"})
# Executed row by row where the index is the same for all channels.
_BY_ROW = frozenset({"aten.scatter_add", "aten.scatter_reduce", "aten.gather"})
_BROADCAST = frozenset({"aten.add", "aten.sub", "aten.subtract", "aten.rsub", "aten.where", "aten.masked_fill"})


class Operations:
    """Executes single operators of a trace by their linear form.

    Attributes
    ----------
    trace, rule, masks, live
        As those of `atomlens.recording.linear.LinearMap`.
    gradient
        Whether the rule is the plain derivative.
    """

    def __init__(self, trace: Trace, rule: LinearRule, masks: dict[int, Tensor], live: list[bool]) -> None:
        self.trace = trace
        self.rule = rule
        self.masks = masks
        self.live = live
        self.gradient = rule.product_share == 1.0
        self._kept: dict[tuple[int, str], Any] = {}

    def execute(self, number: int, state: dict[int, Tensor], rows: Rows) -> Tensor | None:
        """One node's linear value from those of its parents; None for zero."""
        node = self.trace.nodes[number]
        operator = OPERATORS[node.name]
        kind = operator.kind
        if kind is Kind.LINEAR:
            return self._linear(number, node, operator, state, rows)
        if kind is Kind.PRODUCT:
            return self._product(number, node, operator, state, rows)
        if kind is Kind.ELEMENTWISE or (kind is Kind.POWER and not self.gradient):
            y = state.get(node.args[0].node)
            return None if y is None else y * rows.like(self._gain(number, node, kind), number, "gain")
        if kind is Kind.NORM:  # linear along the direction, which is the derivative: zero where there is none
            return self._norm(number, node, state, rows)
        if self.gradient:
            return self._derivative(node, state, rows)
        if kind is Kind.QUOTIENT:
            a = state.get(node.args[0].node)
            return None if a is None else node.op(a, self._frozen(node.args[1], rows), **node.kwargs)
        if kind is Kind.LAYER_NORM:
            return self._layer_norm(number, node, state, rows)
        raise UnknownOperatorError(node.name)

    def _frozen(self, value: Any, rows: Rows) -> Any:
        """An argument by its recorded value."""
        if isinstance(value, Ref):
            return rows.value(value.node)
        if isinstance(value, Const):
            return rows.constant(value.number)
        if isinstance(value, list | tuple):
            return [self._frozen(part, rows) for part in value]
        return value

    def _added(self, value: Any, state: dict[int, Tensor], rows: Rows, broadcast: bool) -> Any:
        """An argument that is added, by its linear value."""
        if isinstance(value, Ref):
            found = state.get(value.node)
            if found is None:
                found = self.trace.zeros(value.node, () if broadcast else rows.shape(value.node))
            return found
        if isinstance(value, Const):
            constant = self.trace.constants[value.number]
            return constant.new_zeros(() if broadcast else tuple(rows.constant_shape(value.number)))
        if isinstance(value, list | tuple):
            return [self._added(part, state, rows, broadcast) for part in value]
        return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _index(self, value: Any, rows: Rows) -> Any:
        if isinstance(value, Const):
            return rows.index(value.number)
        if isinstance(value, Ref):
            raise InputError("the model chooses rows or channels by values of atom states; that cannot be recorded")
        if isinstance(value, list | tuple):
            return [self._index(part, rows) for part in value]
        return value

    def _linear(
        self, number: int, node: Node, operator: Operator, state: dict[int, Tensor], rows: Rows
    ) -> Tensor | None:
        reached = [
            k for k in operator.added if any(isinstance(a, Ref) and a.node in state for a in leaves(argument(node, k)))
        ]
        if not reached:
            return None
        name, shape = node.name, rows.shape(number)
        if name in _RESHAPES:
            return state[node.args[0].node].reshape(shape)
        if name in _EXPANDS:
            return state[node.args[0].node].expand(shape)
        if name == "aten.copy":
            return state[argument(node, 1).node].expand(shape).to(node.value.dtype)
        broadcast = name in _BROADCAST
        args: list[Any] = []
        for k, given in enumerate(node.args):
            if k in operator.added:
                args.append(self._added(given, state, rows, broadcast))
            elif k in operator.index:
                args.append(self._index(given, rows))
            else:
                args.append(self._frozen(given, rows) if isinstance(given, Ref | Const) else given)
        kwargs = {
            key: self._frozen(value, rows) if isinstance(value, Ref | Const) else value
            for key, value in node.kwargs.items()
        }
        # Row by row is many times faster than entry by entry, and new zeros need no copy.
        by_row = name in _BY_ROW and args[1] == 0 and _is_spread(args[2])
        if by_row or (name == "aten.index_add" and not node.kwargs):
            flat = args[2][(slice(None), *[0] * (args[2].dim() - 1))]
            if name == "aten.gather":
                return args[0].index_select(0, flat)
            own = node.args[0]
            if isinstance(own, Ref) and own.node in state:
                return args[0].index_add(args[1], flat, args[3])
            return args[0].index_add_(args[1], flat, args[3])
        if name in ("aten.slice", "aten.narrow"):
            args = self._whole_rows(node, args, number, rows)
        if name == "aten.slice_scatter":
            args[2:] = [args[2] if len(args) > 2 else 0, *args[3:]]
        result = node.op(*args, **kwargs)
        return result if not broadcast or result.shape == torch.Size(shape) else result.expand(shape)

    def _whole_rows(self, node: Node, args: list[Any], number: int, rows: Rows) -> list[Any]:
        """A slice of all rows stays one, however many there are."""
        dim = args[1] if len(args) > 1 else 0
        recorded = self.trace.nodes[node.args[0].node].value
        if node.value.shape[dim] == recorded.shape[dim]:
            here = args[0].shape[dim]
            return [args[0], dim, 0, here]
        return args

    def _product(
        self, number: int, node: Node, operator: Operator, state: dict[int, Tensor], rows: Rows
    ) -> Tensor | None:
        if node.name == "aten.einsum":
            factors = list(node.args[1])
            rest = dict(node.kwargs)

            def product(values: Sequence[Any]) -> Tensor:
                return node.op(node.args[0], list(values), **rest)
        else:
            factors = [argument(node, k) for k in operator.factors]

            def product(values: Sequence[Any]) -> Tensor:
                return _bare_product(node, values)

        carriers = [f.node for f in factors if isinstance(f, Ref) and self.live[f.node]]
        several = len(carriers) > 2
        frozen_entries = any(n in self.masks for n in carriers)
        if several and not self.gradient and frozen_entries:
            raise InputError(
                f"{node.name} multiplies {len(carriers)} signals of which some entries turn with the structure; the "
                "product rule scalar does not cover that, take full"
            )
        total: Tensor | None = None
        for k, factor in enumerate(factors):
            if not isinstance(factor, Ref) or factor.node not in state:
                continue
            if not self.live[factor.node] and any(isinstance(f, Ref) and self.live[f.node] for f in factors):
                continue  # what counts as a bias is frozen in a product with a signal
            if node.name == "aten.linear" and k == 0 and self._has_gamma and not isinstance(factors[1], Ref):
                term = self._gamma(number, node, state[factor.node], rows)
            else:
                held = self._shared if frozen_entries else self._frozen
                values = [state[factor.node] if o == k else held(value, rows) for o, value in enumerate(factors)]
                term = product(values)
            total = term if total is None else total + term
        if total is not None and len(carriers) > 1 and not frozen_entries and not self.gradient:
            total = total * (self.rule.product_share if len(carriers) == 2 else 1 / len(carriers))
        for k in operator.added:
            addend = argument(node, k)
            if isinstance(addend, Ref) and addend.node in state:
                term = state[addend.node] * node.kwargs.get("beta", 1)
                total = term.expand(tuple(rows.shape(number))) if total is None else total + term
        return total

    def _shared(self, factor: Any, rows: Rows) -> Any:
        """A frozen factor of a product, weighted by what the other factor is left with."""
        if not isinstance(factor, Ref) or not self.live[factor.node] or self.rule.product_share == 1.0:
            return self._frozen(factor, rows)
        share = self.rule.product_share
        mask = self.masks.get(factor.node)
        value = rows.value(factor.node)
        return value * (share if mask is None else 1 - (1 - share) * mask)

    @property
    def _has_gamma(self) -> bool:
        return self.rule.name == "gamma"

    def _gamma(self, number: int, node: Node, x: Tensor, rows: Rows) -> Tensor:
        affine = self._kept.get((number, "gamma"))
        parent = node.args[0].node
        if affine is None:
            whole = RecordedRows(self.trace)
            weight, bias = self._frozen(node.args[1], whole), self._frozen(argument(node, 2), whole)
            recorded = whole.value(parent)
            affine = self.rule.linear(weight, bias, recorded.reshape(-1, recorded.shape[-1]))
            self._kept[number, "gamma"] = affine
        atoms = rows.numbers(parent)
        width = x.shape[-1]
        flat = x.reshape(-1, width)
        if atoms is not None:
            each = flat.shape[0] // max(len(atoms), 1)
            atoms = (atoms[:, None] * each + torch.arange(each, device=atoms.device)).flatten()
        result = affine.operator.apply(flat, atoms)
        return result.reshape(*x.shape[:-1], result.shape[-1])

    # Factors that a rule freezes

    def _gain(self, number: int, node: Node, kind: Kind) -> Tensor:
        gain = self._kept.get((number, "gain"))
        if gain is None:
            y = self.trace.nodes[node.args[0].node].value
            if kind is Kind.POWER:
                gain = torch.where(y == 0, 0.0, node.value / torch.where(y == 0, 1.0, y))
            else:
                rest = self._frozen(list(node.args[1:]), RecordedRows(self.trace))

                def activation(x: Tensor) -> Tensor:
                    return node.op(x, *rest, **node.kwargs)

                gain = self.rule.gain(activation, y, node.value)
            self._kept[number, "gain"] = gain
        return gain

    def _norm(self, number: int, node: Node, state: dict[int, Tensor], rows: Rows) -> Tensor | None:
        parent = node.args[0].node
        x = state.get(parent)
        if x is None:
            return None
        direction = self._kept.get((number, "direction"))
        if direction is None:
            with torch.enable_grad():
                leaf = self.trace.nodes[parent].value.detach().requires_grad_()
                (direction,) = torch.autograd.grad(node.op(leaf, *node.args[1:], **node.kwargs).sum(), leaf)
            self._kept[number, "direction"] = direction
        place = 2 if node.name != "aten.frobenius_norm" else 1
        dims = node.kwargs.get("dim", node.args[place] if len(node.args) > place else None)
        product = x * rows.like(direction, parent, f"direction{number}")
        return product.sum(dim=dims).reshape(rows.shape(number))

    def _layer_norm(self, number: int, node: Node, state: dict[int, Tensor], rows: Rows) -> Tensor | None:
        parent = node.args[0].node
        x = state.get(parent)
        if x is None:
            return None
        dims = tuple(range(-len(node.args[1]), 0))
        scale = self._kept.get((number, "scale"))
        if scale is None:
            value = self.trace.nodes[parent].value
            epsilon = argument(node, 4, 1e-5)
            scale = torch.rsqrt(value.var(dim=dims, keepdim=True, unbiased=False) + epsilon).expand_as(value)
            self._kept[number, "scale"] = scale
        result = (x - x.mean(dim=dims, keepdim=True)) * rows.like(scale, parent, f"scale{number}")
        weight = self._frozen(argument(node, 2), rows)
        return result if weight is None else result * weight

    def _derivative(self, node: Node, state: dict[int, Tensor], rows: Rows) -> Tensor | None:
        """Plain derivative of any operator, for the gradient rule."""
        if not any(parent in state for parent in node.parents()):
            return None
        with forward_ad.dual_level():

            def dual(value: Any) -> Any:
                if isinstance(value, Ref) and value.node in state:
                    return forward_ad.make_dual(rows.value(value.node), state[value.node])
                if isinstance(value, list | tuple) and not isinstance(value, Ref | Const):
                    return [dual(part) for part in value]
                return self._frozen(value, rows)

            out = node.op(*[dual(a) for a in node.args], **{k: dual(v) for k, v in node.kwargs.items()})
            return forward_ad.unpack_dual(out).tangent


def _is_spread(index: Tensor) -> bool:
    """Whether an index is the same for all channels, by its strides."""
    return all(size == 1 or stride == 0 for size, stride in zip(index.shape[1:], index.stride()[1:], strict=True))


def argument(node: Node, k: int, default: Any = None) -> Any:
    """Argument by its place, also where it was given by name."""
    if k < len(node.args):
        return node.args[k]
    arguments = node.op._schema.arguments if hasattr(node.op, "_schema") else ()
    return node.kwargs.get(arguments[k].name, default) if k < len(arguments) else default


def _bare_product(node: Node, values: Sequence[Any]) -> Tensor:
    """The product of two factors alone, without what the operator adds."""
    a, b = values
    alpha = node.kwargs.get("alpha", node.kwargs.get("value", 1))
    name = node.name
    if name in ("aten.addmm", "aten.addmv", "aten.baddbmm"):
        result = torch.matmul(a, b)
    elif name == "aten.addbmm":
        result = torch.bmm(a, b).sum(dim=0)
    elif name == "aten.addr":
        result = torch.outer(a, b)
    elif name == "aten.addcmul":
        result = a * b
    elif name == "aten.linear":
        return torch.nn.functional.linear(a, b)
    else:
        return node.op(a, b, *node.args[2:], **node.kwargs)
    return result if alpha == 1 else result * alpha
