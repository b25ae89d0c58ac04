"""Walking a tree of module shells: children, tensors, plain attributes, activations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import Tensor

from atomlens.potentials.schnetpack.shells import (
    ACTIVATION_FUNCTIONS,
    ACTIVATION_MODULES,
    DENSE,
    LINEAR,
    LISTS,
    SHIFTED_SOFTPLUS,
    Name,
    Shell,
    TensorRef,
)
from atomlens.structures import InputError

T = TypeVar("T")
# Modules of one list; the networks of this field have tens.
_MOST = 1000
ReadTensor = Callable[[TensorRef], Tensor]


def children(module: Shell) -> dict[str, Shell]:
    """Submodules by name."""
    found = _table(module, "_modules")
    return {name: child for name, child in found.items() if isinstance(child, Shell)}


def child(module: Shell, name: str) -> Shell:
    """One submodule.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    found = children(module).get(name)
    if found is None:
        raise InputError(f"its {module.path} has no module {name!r}; the file is damaged or of an unknown version")
    return found


def items(module: Shell, name: str) -> list[Shell]:
    """Submodules of the list (ModuleList or Sequential) called `name`; empty where there is no such list.

    Raises
    ------
    InputError
        If something else has that name.
    """
    found = children(module).get(name)
    if found is None:
        return []
    if found.path not in LISTS:
        raise InputError(f"{name!r} of its {module.path} is a {found.path}, not a list of modules")
    modules = list(children(found).values())
    if len(modules) > _MOST:
        raise InputError(f"{name!r} of its {module.path} has {len(modules)} modules; up to {_MOST} can be read")
    return modules


def tensors(module: Shell) -> dict[str, TensorRef]:
    """Parameters and buffers of a module itself, by name."""
    both = itertools.chain(_table(module, "_parameters").items(), _table(module, "_buffers").items())
    return {name: ref for name, ref in both if isinstance(ref, TensorRef)}


def tensor_at(root: Shell, path: str) -> TensorRef | None:
    """Tensor by its dotted path below `root`; None where there is none."""
    *modules, last = path.split(".")
    for name in modules:
        found = children(root).get(name)
        if found is None:
            return None
        root = found
    return tensors(root).get(last)


def needed(module: Shell, name: str) -> TensorRef:
    """A tensor of a module itself.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    ref = tensors(module).get(name)
    if ref is None:
        raise InputError(f"its {module.path} has no tensor {name!r}; the file is damaged or of an unknown version")
    return ref


def shape_of(module: Shell, name: str, axes: int) -> tuple[int, ...]:
    """Shape of a tensor of a module itself.

    Raises
    ------
    InputError
        If there is none of that name, or it has another number of axes.
    """
    shape = needed(module, name).shape
    if len(shape) != axes:
        raise InputError(f"the tensor {name!r} of its {module.path} has shape {shape}; {axes} axes were expected")
    return shape


def all_tensors(root: Shell, prefix: str = "") -> Iterator[str]:
    """Dotted paths of all tensors below `root`; those of a module that occurs several times at its first place."""
    stack, seen = [(prefix, root)], set()
    while stack:
        place, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield from (place + name for name in tensors(module))
        stack.extend((f"{place}{name}.", found) for name, found in reversed(children(module).items()))


def attribute(module: Shell, name: str, kind: type[T], default: T) -> T:
    """Plain attribute of a module, `default` where an older version had none.

    Raises
    ------
    InputError
        If it is of another type.
    """
    value: Any = module.state.get(name, default)
    if kind is float and type(value) is int:
        value = _float(value)
    if not isinstance(value, kind):
        raise InputError(f"{name!r} of its {module.path} is a {_described(value)}, a {kind.__name__} was expected")
    return value


def number(module: Shell, name: str, read: ReadTensor, default: float) -> float:
    """Number that a version of SchNetPack kept as a buffer of one element, or as a plain number.

    Raises
    ------
    InputError
        If it is neither.
    """
    value = tensors(module).get(name, module.state.get(name, _table(module, "_buffers").get(name, default)))
    if isinstance(value, TensorRef):
        value = read(value)
        if value.numel() == 1:
            return float(value)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name!r} of its {module.path} is a {_described(value)}, one number was expected")
    return _float(value)


def linear_layers(module: Shell, name: str, count: int | None = None) -> list[Shell]:
    """Dense layers of the list called `name`.

    Raises
    ------
    InputError
        If something else is among them, or they are not `count`.
    """
    layers = items(module, name)
    for layer in layers:
        if layer.path not in (DENSE, LINEAR):
            raise InputError(f"{name!r} of its {module.path} holds a {layer.path}, where only Dense layers can be read")
    if not layers or (count is not None and len(layers) != count):
        raise InputError(f"{name!r} of its {module.path} has {len(layers)} layers, {count or 'some'} were expected")
    return layers


def activation_of(module: Shell, name: str, read: ReadTensor) -> str:
    """Name of the activation function that a module keeps under `name`, as function or as module.

    Raises
    ------
    InputError
        If it is none of those that atomlens has.
    """
    value = children(module).get(name, module.state.get(name))
    if value is None:
        return "identity"
    if isinstance(value, Name) and value.path in ACTIVATION_FUNCTIONS:
        return ACTIVATION_FUNCTIONS[value.path]
    if isinstance(value, Shell) and value.path == SHIFTED_SOFTPLUS:
        alpha, beta = number(value, "alpha", read, 1.0), number(value, "beta", read, 1.0)
        if (alpha, beta) != (1.0, 1.0):
            raise InputError(
                f"the model uses {value.path} with alpha={alpha:g}, beta={beta:g}; only 1 and 1 can be read"
            )
        return "shifted_softplus"
    if isinstance(value, Shell) and value.path in ACTIVATION_MODULES:
        known, options = ACTIVATION_MODULES[value.path]
        for option, usual in options.items():
            if (given := value.state.get(option, usual)) != usual:
                raise InputError(
                    f"the model uses {value.path} with {option}={_described(given)}; only {usual!r} can be read"
                )
        return known
    raise InputError(f"the activation function of its {module.path} is a {_described(value)}, which cannot be read")


def same_for_all(what: str, values: list[T]) -> T:
    """The one value that all layers share.

    Raises
    ------
    InputError
        If they differ.
    """
    if any(value != values[0] for value in values):
        raise InputError(f"its layers differ in their {what} ({values[0]} and others); one for all can be read")
    return values[0]


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf if value > 0 else -math.inf


def _table(module: Shell, name: str) -> dict[str, Any]:
    found = module.state.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{name!r} of its {module.path} is not a table of names; the file is damaged")
    return found


def _described(value: Any) -> str:
    if isinstance(value, Name | Shell):
        return value.path
    # Only of plain values, because containers may be nested without bounds.
    if isinstance(value, str):
        value = value[:100]
    elif isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e100:
        return type(value).__name__ if not isinstance(value, bool) else f"bool {value}"
    return f"{type(value).__name__} {value!r}"[:120]
