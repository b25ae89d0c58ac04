"""What a model did with its signals, operator by operator.

Operators are seen below autograd (torch dispatch), so inside TorchScript too, and as the model calls them: `linear`
and `einsum` come whole. What is written in place becomes a pure operator, by the functional form of the operator and
by writing views back into what they look into. Nothing of the model is changed; hooks on its embedding are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from atomlens.recording.operators import FACTORIES, LIKE_ANOTHER, OPERATORS, name_of
from atomlens.structures import InputError


class Ref(NamedTuple):
    """An argument that is a signal: the node that made it."""

    node: int


class Const(NamedTuple):
    """An argument that is a tensor no signal reaches: its number in `Trace.constants`."""

    number: int


@dataclass
class Node:
    """One operator that a signal reached, or (without operator) the beginning of a signal.

    Attributes
    ----------
    op
        The operator, in its pure form; None for a beginning.
    args, kwargs
        Its arguments; tensors are `Ref` and `Const`.
    value
        What it gave, shape as recorded.
    """

    op: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    value: Tensor
    _parents: list[int] | None = None

    @property
    def name(self) -> str:
        """Name of the operator, such as ``aten.mul``."""
        return "start" if self.op is None else name_of(self.op)

    def parents(self) -> list[int]:
        """Nodes that it reads."""
        if self._parents is None:
            self._parents = [a.node for a in leaves((self.args, self.kwargs)) if isinstance(a, Ref)]
        return self._parents


def leaves(value: Any) -> Iterator[Any]:
    """All arguments, those in lists too; `Ref` and `Const` whole."""
    if isinstance(value, Ref | Const):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


@dataclass
class Trace:
    """The operators of one run, in order.

    Attributes
    ----------
    nodes
        Beginnings of signals and operators; each reads only earlier ones.
    constants
        Tensors that operators take besides signals.
    result
        Node of the run's result; None if no signal reached it.
    value
        The result itself.
    """

    nodes: list[Node] = field(default_factory=list)
    constants: list[Tensor] = field(default_factory=list)
    result: int | None = None
    value: Tensor = field(default_factory=lambda: torch.zeros(()))

    @property
    def starts(self) -> list[int]:
        """Beginnings of signals."""
        return [i for i, node in enumerate(self.nodes) if node.op is None]


class _Memory:
    """A piece of memory that holds signals: who owns it, the node of its present content, and how often it changed."""

    def __init__(self, root: Tensor, node: int) -> None:
        self.root = root
        self.node = node
        self.version = 0


class _Alias(NamedTuple):
    """A tensor that looks into another: ``op(base, *args)``."""

    base: Tensor
    op: Any
    args: tuple[Any, ...]


def _where(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.trace = Trace()
        self.memory: dict[int, _Memory] = {}
        self.known: dict[int, tuple[int, int]] = {}  # tensor: node, version of its memory
        self.aliases: dict[int, _Alias] = {}
        self.captured: dict[int, list[tuple[str, int]]] = {}  # memory: values and constants that live in it
        self.constant_numbers: dict[int, int] = {}
        self.kept: list[Tensor] = []  # an id is a name only while its tensor lives

    # Signals and constants

    def start(self, tensor: Tensor) -> None:
        """Let a signal begin."""
        self._new_node(None, (), {}, tensor)

    def resolve(self, tensor: Tensor) -> int | None:
        """Node of a tensor; None for a constant."""
        memory = self.memory.get(_where(tensor)) if tensor.numel() else None
        if memory is None:
            known = self.known.get(id(tensor))
            return known[0] if known is not None and not tensor.numel() else None
        known = self.known.get(id(tensor))
        if known is not None and known[1] == memory.version:
            return known[0]
        if tensor is memory.root:
            node = memory.node
        elif (alias := self.aliases.get(id(tensor))) is not None:
            base = self.resolve(alias.base)
            assert base is not None
            node = self._append(alias.op, (Ref(base), *alias.args), {}, tensor)
        else:
            node = self._same_place(tensor, memory)
        self.known[id(tensor)] = (node, memory.version)
        self.kept.append(tensor)
        return node

    def _same_place(self, tensor: Tensor, memory: _Memory) -> int:
        """Node of a tensor that came by a way that no operator shows (``.data``)."""
        for other in reversed(self.kept):
            if (
                _where(other) == _where(tensor)
                and (other.shape, other.stride(), other.storage_offset())
                == (tensor.shape, tensor.stride(), tensor.storage_offset())
                and self.known.get(id(other), (0, -1))[1] == memory.version
            ):
                return self.known[id(other)][0]
        raise InputError(
            f"a tensor of shape {tuple(tensor.shape)} shares memory with atom states by a way that no operator shows; "
            "such a model cannot be recorded"
        )

    def _argument(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        node = self.resolve(value)
        if node is not None:
            return Ref(node)
        number = self.constant_numbers.get(id(value))
        if number is None or self.trace.constants[number] is not value:
            number = len(self.trace.constants)
            self.trace.constants.append(value)
            self.constant_numbers[id(value)] = number
            self.captured.setdefault(_where(value), []).append(("constant", number))
        return Const(number)

    def _append(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Tensor) -> int:
        self.trace.nodes.append(Node(op, args, kwargs, value))
        self.captured.setdefault(_where(value), []).append(("value", len(self.trace.nodes) - 1))
        return len(self.trace.nodes) - 1

    def _new_node(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Tensor) -> None:
        """Record a value in memory of its own, or one that looks into its argument's."""
        node = self._append(op, args, kwargs, value)
        self.kept.append(value)
        memory = self.memory.get(_where(value)) if value.numel() else None
        if memory is None:
            if value.numel():
                self.memory[_where(value)] = _Memory(value, node)
            self.known[id(value)] = (node, 0)
        else:
            self.known[id(value)] = (node, memory.version)

    # Operators

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        tensors = [t for t in leaves((args, kwargs)) if isinstance(t, Tensor)]
        if func._schema.is_mutable:
            return self._in_place(func, name, args, kwargs, tensors)
        read = tensors[:1] if name in LIKE_ANOTHER else tensors
        if name in FACTORIES or not any(self.resolve(t) is not None for t in read):
            out = func(*args, **kwargs)
            self._note_views(func, name, args, kwargs, out)
            return out
        if name == "aten.index" and (both := _two_indices(args)) is not None:
            with self:
                return torch.stack([args[0][index] for index in both])
        if name not in OPERATORS:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if any(out is t for t in tensors):
            return out
        views = self._note_views(func, name, args, kwargs, out)
        if isinstance(out, list | tuple):
            if views is None:
                raise UnknownOperatorError(name)
            for part, alias in zip(out, views, strict=True):
                self._new_node(alias.op, (self._argument(args[0]), *alias.args), {}, part)
            return out
        recorded = tree_map(self._argument, (tuple(args), kwargs), is_leaf=lambda v: isinstance(v, Tensor))
        self._new_node(func, *recorded, out)
        return out

    def _note_views(self, func: Any, name: str, args: Any, kwargs: Any, out: Any) -> list[_Alias] | None:
        """Remember which tensors look into which; parts of a tensor by the operator that takes each alone."""
        if not args or not isinstance(args[0], Tensor):
            return None
        base = args[0]
        if isinstance(out, list | tuple):
            aliases = _parts(name, base, args, kwargs, out)
            if aliases is None:
                return None
            for part, alias in zip(out, aliases, strict=True):
                self._note(part, alias)
            return aliases
        if isinstance(out, Tensor) and out is not base and out.numel() and _where(out) == _where(base):
            self._note(out, _Alias(base, _WithKeywords(func, kwargs) if kwargs else func, tuple(args[1:])))
        return None

    def _note(self, out: Tensor, alias: _Alias) -> None:
        if not isinstance(out, nn.Parameter):
            self.aliases[id(out)] = alias
            self.kept.append(out)
            self.kept.append(alias.base)

    def _in_place(self, func: Any, name: str, args: Any, kwargs: Any, tensors: list[Tensor]) -> Any:
        target = kwargs.get("out", args[0] if args else None)
        if not isinstance(target, Tensor):
            raise UnknownOperatorError(f"{name} into several tensors")
        nodes = [self.resolve(t) for t in tensors]
        if not any(node is not None for node in nodes):
            self._snapshot(target)
            return func(*args, **kwargs)
        pure = _pure(func, name)
        inputs = {key: value for key, value in kwargs.items() if key != "out"}
        recorded = tree_map(self._argument, (tuple(args), inputs), is_leaf=lambda v: isinstance(v, Tensor))
        if name_of(pure) not in OPERATORS:
            raise UnknownOperatorError(name)
        self._snapshot(target)
        func(*args, **kwargs)
        node = self._append(pure, *recorded, target)
        self._write_back(target, node)
        return target

    def _snapshot(self, target: Tensor) -> None:
        """Copy what was recorded in a piece of memory that is about to change."""
        for what, number in self.captured.pop(_where(target), []):
            if what == "value":
                self.trace.nodes[number].value = self.trace.nodes[number].value.clone()
            else:
                constant = self.trace.constants[number]
                self.trace.constants[number] = constant.clone()

    def _write_back(self, target: Tensor, node: int) -> None:
        """Carry a new content from a view to the tensor that it looks into, up to the owner of the memory."""
        view, changed = target, [(target, node)]
        while (alias := self.aliases.get(id(view))) is not None:
            node = self._scattered(alias, view, node)
            view = alias.base
            changed.append((view, node))
        memory = self.memory.get(_where(target))
        if memory is None:
            memory = self.memory[_where(target)] = _Memory(view, node)
        memory.root, memory.node = view, node
        memory.version += 1
        for tensor, number in changed:
            self.known[id(tensor)] = (number, memory.version)
            self.kept.append(tensor)

    def _scattered(self, alias: _Alias, view: Tensor, node: int) -> int:
        """Node of a view's base after the view has changed."""
        base, name, args = alias.base, name_of(alias.op), alias.args
        aten = torch.ops.aten
        if name in _SAME_ELEMENTS and view.numel() == base.numel():
            return self._append(aten.reshape.default, (Ref(node), list(base.shape)), {}, base)
        if name in ("aten.transpose", "aten.swapaxes"):
            return self._append(aten.transpose.int, (Ref(node), *args), {}, base)
        if name in ("aten.t", "aten.numpy_T", "aten.mT"):
            return self._append(aten.transpose.int, (Ref(node), base.dim() - 2, base.dim() - 1), {}, base)
        if name == "aten.permute":
            order = [int(d) % base.dim() for d in args[0]]
            return self._append(
                aten.permute.default, (Ref(node), [order.index(d) for d in range(base.dim())]), {}, base
            )
        before = self._before(base)
        if name == "aten.narrow":
            dim, first, length = args
            first = first + base.shape[dim] if first < 0 else first
            return self._append(
                aten.slice_scatter.default, (before, Ref(node), dim, first, first + length, 1), {}, base
            )
        if name == "aten.slice":
            return self._append(aten.slice_scatter.default, (before, Ref(node), *args), {}, base)
        if name == "aten.select":
            return self._append(aten.select_scatter.default, (before, Ref(node), *args), {}, base)
        raise InputError(f"a signal is written in place through {name}, which cannot be recorded")

    def _before(self, base: Tensor) -> Any:
        """What a tensor held before one of its views was written; the written part no longer matters."""
        known = self.known.get(id(base))
        memory = self.memory.get(_where(base))
        if memory is not None and known is not None and known[1] == memory.version:
            return Ref(known[0])
        if memory is not None:
            return self._argument(base)
        copy = base.clone()
        self.kept.append(copy)
        return self._argument(copy)


# Views that keep all elements in their order: written back by a reshape.
_SAME_ELEMENTS = frozenset(
    f"aten.{name}"
    for name in [
        "view",
        "reshape",
        "_unsafe_view",
        "flatten",
        "unflatten",
        "unsqueeze",
        "squeeze",
        "alias",
        "contiguous",
        "view_as",
        "_reshape_alias",
        "expand",
    ]
)


class _WithKeywords:
    """An operator with fixed keyword arguments, for views that were made with such."""

    def __init__(self, func: Any, kwargs: dict[str, Any]) -> None:
        self.func, self.kwargs = func, kwargs
        self.overloadpacket = func.overloadpacket

    def __call__(self, *args: Any) -> Any:
        return self.func(*args, **self.kwargs)


def _parts(name: str, base: Tensor, args: Any, kwargs: Any, out: Sequence[Tensor]) -> list[_Alias] | None:
    """Each of several views of one tensor as a view of its own."""
    aten = torch.ops.aten
    options = dict(kwargs)
    if name in ("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.tensor_split", "aten.unsafe_split"):
        dim = options.get("dim", args[2] if len(args) > 2 else 0) % base.dim()
        first, aliases = 0, []
        for part in out:
            aliases.append(_Alias(base, aten.narrow.default, (dim, first, part.shape[dim])))
            first += part.shape[dim]
        return aliases
    if name == "aten.unbind":
        dim = options.get("dim", args[1] if len(args) > 1 else 0) % base.dim()
        return [_Alias(base, aten.select.int, (dim, i)) for i in range(len(out))]
    return None


def _two_indices(args: Any) -> tuple[Tensor, ...] | None:
    """Both rows of an index that looks sources and targets up at once, such as ``x[edge_index]``."""
    entries = args[1]
    index = entries[0] if len(entries) == 1 else None
    if index is None or index.is_floating_point() or index.dtype == torch.bool:
        return None
    return index.unbind(0) if index.dim() == 2 and index.shape[0] == 2 else None


def _pure(func: Any, name: str) -> Any:
    """The operator that gives a new tensor, of the same arguments."""
    packet = getattr(torch.ops.aten, name.removeprefix("aten.").removesuffix("_"), None)
    wanted = [(a.name, str(a.type)) for a in func._schema.arguments if a.name != "out"]
    for overload in packet.overloads() if packet is not None else ():
        pure = getattr(packet, overload)
        if not pure._schema.is_mutable and [(a.name, str(a.type)) for a in pure._schema.arguments] == wanted:
            return pure
    raise UnknownOperatorError(name)


class UnknownOperatorError(InputError):
    """An operator that no rule covers."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the model applies {name} to atom states; no rule says how its relevance is passed on. Its output can be "
            f"treated as a bias on request: as_bias=({name!r},)"
        )
        self.operator = name


@contextmanager
def _plain_script() -> Iterator[None]:
    """TorchScript operator by operator: neither profiled nor fused."""
    before = torch._C._jit_set_profiling_executor(False)
    try:
        with torch.jit.optimized_execution(False):
            yield
    finally:
        torch._C._jit_set_profiling_executor(before)


def trace_call(
    call: Callable[[], Tensor], *, modules: Sequence[nn.Module] = (), signals: Sequence[Tensor] = ()
) -> Trace:
    """Run a function and record what happens to its signals.

    Parameters
    ----------
    call
        The run. Its result is one tensor.
    modules
        Modules whose output starts signals.
    signals
        Tensors that are signals from the beginning.

    Raises
    ------
    InputError
        If a signal reaches an operator that has no rule.
    """
    recorder = _Recorder()

    def begin(module: nn.Module, inputs: Any, output: Any) -> Any:
        def fresh(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            value = value.clone()  # the same tensor may serve as a fixed attribute too
            recorder.start(value)
            return value

        if isinstance(output, Tensor):
            return fresh(output)
        if isinstance(output, tuple):
            return tuple(fresh(part) for part in output)
        raise InputError(
            f"the embedding {type(module).__name__} returned {type(output).__name__}; it must return a tensor"
        )

    hooks = [module.register_forward_hook(begin) for module in modules]
    below = torch._C._AutoDispatchBelowAutograd()
    try:
        for tensor in signals:
            recorder.start(tensor)
        with _plain_script(), recorder:
            value = call()
        recorder.trace.result = recorder.resolve(value)
        recorder.trace.value = value.detach().clone()
    finally:
        del below
        for hook in hooks:
            hook.remove()
    return _pruned(recorder.trace)


def _pruned(trace: Trace) -> Trace:
    """Only what leads to the result, and the beginnings of signals."""
    needed: set[int] = set(trace.starts)
    waiting = [] if trace.result is None else [trace.result]
    while waiting:
        number = waiting.pop()
        if number not in needed or trace.nodes[number].op is not None:
            new = number not in needed
            needed.add(number)
            waiting += trace.nodes[number].parents() if new else []
    order = sorted(needed)
    place = {number: k for k, number in enumerate(order)}
    constants: dict[int, int] = {}

    def renumbered(value: Any) -> Any:
        if isinstance(value, Ref):
            return Ref(place[value.node])
        if isinstance(value, Const):
            return Const(constants.setdefault(value.number, len(constants)))
        if isinstance(value, list | tuple):
            return type(value)(renumbered(part) for part in value)
        return value

    nodes = []
    for number in order:
        node = trace.nodes[number]
        kwargs = {key: renumbered(value) for key, value in node.kwargs.items()}
        nodes.append(Node(node.op, renumbered(node.args), kwargs, node.value.detach()))
    kept = [trace.constants[number].detach() for number in constants]  # weights of a model in training too
    return Trace(nodes, kept, None if trace.result is None else place[trace.result], trace.value)
