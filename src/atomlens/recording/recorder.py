"""What a model did with its signals, operator by operator.

Operators are seen below autograd (torch dispatch), so inside TorchScript too, and as the model calls them: `linear`
and `einsum` come whole. What is written in place becomes a pure operator, by the functional form of the operator and
by writing views back into what they look into. Nothing of the model is changed; hooks on its embedding are removed.

Tensors and their memory are known by weak references, so that the model frees what it needs no longer. A value is kept
if it is asked for; of all others there is the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from atomlens.recording.memory import Known, Memory, Place, where
from atomlens.recording.operators import FACTORIES, LIKE_ANOTHER, OPERATORS, name_of
from atomlens.recording.trace import Const, Node, Ref, Trace, UnknownOperatorError, leaves
from atomlens.recording.views import (
    SAME_ELEMENTS,
    VIEWS_LIKE_ANOTHER,
    Alias,
    WithKeywords,
    parts_of,
    pure_form,
    two_indices,
)
from atomlens.structures import InputError


class _Recorder(TorchDispatchMode):
    def __init__(self, keep: Collection[int] | None) -> None:
        super().__init__()
        self.trace = Trace()
        self.keep = keep
        self.memory: dict[int, Memory] = {}
        self.known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.aliases: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.captured: dict[int, list[tuple[str, int]]] = {}  # memory: values and constants that live in it
        self.constant_numbers: dict[int, int] = {}
        self.places: dict[int, int] = {}  # kept value: its memory

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would import its compiler, which takes two seconds, only to keep it away from this class.
        return False

    # Signals and constants

    def start(self, tensor: Tensor) -> None:
        """Let a signal begin."""
        self._new_node(None, (), {}, tensor)

    def resolve(self, tensor: Tensor) -> int | None:
        """Node of a tensor; None for a constant."""
        memory = self.memory.get(where(tensor))
        if memory is None:
            return None
        known = self.known.get(tensor)
        # ``.data = ...`` lets a tensor look into other memory, unseen.
        if known is not None and known.memory is memory and known.version == memory.version:
            return known.node
        place = Place.of(tensor)
        alias = self.aliases.get(tensor)
        if alias is not None and where(alias.base) == where(tensor):
            base = self.resolve(alias.base)
            assert base is not None
            node = self._append(alias.op, (Ref(base), *alias.args), {}, tensor)
        elif place in memory.nodes:  # by a way that no operator shows (``.data``)
            node = memory.nodes[place]
        else:
            raise InputError(
                f"a tensor of shape {tuple(tensor.shape)} shares memory with atom states by a way that no operator "
                "shows; such a model cannot be recorded"
            )
        self._know(tensor, node, memory)
        return node

    def _know(self, tensor: Tensor, node: int, memory: Memory) -> None:
        self.known[tensor] = Known(node, memory, memory.version)
        memory.nodes[Place.of(tensor)] = node

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
            self.captured.setdefault(where(value), []).append(("constant", number))
        return Const(number)

    def _arguments(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments with tensors by node or number."""
        return tree_map(self._argument, (tuple(args), dict(kwargs)), is_leaf=lambda v: isinstance(v, Tensor))

    def _append(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Tensor) -> int:
        number = len(self.trace.nodes)
        if self.keep is None or op is None or number in self.keep:
            self.captured.setdefault(where(value), []).append(("value", number))
            self.places[number] = where(value)
        else:
            value = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        self.trace.nodes.append(Node(op, args, kwargs, value))
        return number

    def _new_node(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], value: Tensor) -> None:
        """Record a value in memory of its own, or one that looks into its argument's."""
        node = self._append(op, args, kwargs, value)
        memory = self.memory.get(where(value))
        if memory is None:
            memory = self.memory[where(value)] = Memory(value)
        self._know(value, node, memory)

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
        if name == "aten.index" and (both := two_indices(args)) is not None:
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
        if not isinstance(out, Tensor):  # a number that Python reads: frozen, as by ``detach``
            return out
        if out.layout is not torch.strided:
            raise UnknownOperatorError(name)
        positional, named = self._arguments(args, kwargs)
        self._new_node(func, positional, named, out)
        return out

    def _note_views(self, func: Any, name: str, args: Any, kwargs: Any, out: Any) -> list[Alias] | None:
        """Remember which tensors look into which; parts of a tensor by the operator that takes each alone."""
        if not args or not isinstance(args[0], Tensor):
            return None
        base = args[0]
        if isinstance(out, list | tuple):
            aliases = parts_of(name, base, args, kwargs, out)
            if aliases is None:
                return None
            for part, alias in zip(out, aliases, strict=True):
                self._note(part, alias)
            return aliases
        if isinstance(out, Tensor) and out is not base and where(out) == where(base):
            if name in VIEWS_LIKE_ANOTHER:  # whose shape is taken, and which need not live on
                self._note(out, Alias(base, VIEWS_LIKE_ANOTHER[name], (list(out.shape),)))
            else:
                self._note(out, Alias(base, WithKeywords(func, kwargs) if kwargs else func, tuple(args[1:])))
        return None

    def _note(self, out: Tensor, alias: Alias) -> None:
        if not isinstance(out, nn.Parameter):
            self.aliases[out] = alias

    def _in_place(self, func: Any, name: str, args: Any, kwargs: Any, tensors: list[Tensor]) -> Any:
        target = kwargs.get("out", args[0] if args else None)
        if not isinstance(target, Tensor):
            raise UnknownOperatorError(f"{name} into several tensors")
        nodes = [self.resolve(t) for t in tensors]
        if not any(node is not None for node in nodes):
            self._snapshot(target)
            return func(*args, **kwargs)
        pure = pure_form(func, name)
        inputs = {key: value for key, value in kwargs.items() if key != "out"}
        positional, named = self._arguments(args, inputs)
        if name_of(pure) not in OPERATORS:
            raise UnknownOperatorError(name)
        self._snapshot(target)
        func(*args, **kwargs)
        node = self._append(pure, positional, named, target)
        self._write_back(target, node)
        return target

    def _snapshot(self, target: Tensor) -> None:
        """Copy what was recorded in a piece of memory that is about to change."""
        for what, number in self.captured.pop(where(target), []):
            if what == "value":
                self.trace.nodes[number].value = copy = self.trace.nodes[number].value.clone()
                self.places[number] = where(copy)
            else:
                constant = self.trace.constants[number]
                self.trace.constants[number] = constant.clone()

    def check_values(self) -> None:
        """Make sure that kept values are what operators gave: a tensor can be let look into other memory.

        Raises
        ------
        InputError
            If one was.
        """
        for number, place in self.places.items():
            value = self.trace.nodes[number].value
            if where(value) != place:
                raise InputError(
                    f"a tensor of shape {tuple(value.shape)} was given other memory after it was computed "
                    "(.data = ...); such a model cannot be recorded"
                )

    def _write_back(self, target: Tensor, node: int) -> None:
        """Carry a new content from a view to the tensor that it looks into, up to the owner of the memory."""
        view, changed = target, [(target, node)]
        while (alias := self.aliases.get(view)) is not None:
            node = self._scattered(alias, view, node)
            view = alias.base
            changed.append((view, node))
        memory = self.memory.get(where(target))
        if memory is None:
            memory = self.memory[where(target)] = Memory(view)
        else:
            memory.change()
        for tensor, number in changed:
            self._know(tensor, number, memory)

    def _scattered(self, alias: Alias, view: Tensor, node: int) -> int:
        """Node of a view's base after the view has changed."""
        base, name, args = alias.base, name_of(alias.op), alias.args
        aten = torch.ops.aten
        if name in SAME_ELEMENTS and view.numel() == base.numel():
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
        return self._argument(base if self.memory.get(where(base)) is not None else base.clone())


@contextmanager
def _plain_script() -> Iterator[None]:
    """TorchScript operator by operator: neither profiled nor fused."""
    before = torch._C._jit_set_profiling_executor(False)
    try:
        with torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            yield
    finally:
        torch._C._jit_set_profiling_executor(before)


def trace_call(
    call: Callable[[], Tensor],
    *,
    modules: Sequence[nn.Module] = (),
    signals: Sequence[Tensor] = (),
    keep: Collection[int] | None = None,
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
    keep
        Whose values are kept, by `Trace.numbers` of an earlier run; all by default. Of others there is the shape.

    Raises
    ------
    InputError
        If a signal reaches an operator that has no rule.
    """
    recorder = _Recorder(keep)

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
        recorder.check_values()
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
    return Trace(nodes, kept, None if trace.result is None else place[trace.result], trace.value, tuple(order))
