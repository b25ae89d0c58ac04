"""A pretend second device: tensors of it are marked, and meeting one of the processor's is an error, as on a GPU.

Marked are a model's parameters and buffers, whatever is made with ``device=`` or moved by ``.to``, and all that is
computed from them. A GPU would refuse the same things: operators of tensors on two devices (single numbers and index
tensors excepted), and NumPy's look at a tensor that is not on the processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# What may take tensors of two devices.
_MOVES = {
    "to",
    "copy_",
    "__getitem__",
    "__setitem__",
    "set_",
    "__set__",
    "__get__",
    "_has_compatible_shallow_copy_type",
}
_HOME = {"cpu", "tolist", "item", "__float__", "__int__", "__bool__", "__index__", "__len__", "__format__", "__repr__"}
_NUMPY = {"numpy", "__array__"}


class TwoDevicesError(RuntimeError):
    """What a GPU would refuse."""


def is_elsewhere(tensor: Tensor) -> bool:
    """Whether the tensor is on the pretend device."""
    while torch._C._functorch.is_batchedtensor(tensor):  # inside of vmap
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return getattr(tensor, "_elsewhere", False)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _tensors(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _tensors(entry)


def move_away(module: nn.Module) -> None:
    """Put a model on the pretend device."""
    for tensor in (*module.parameters(), *module.buffers()):
        tensor._elsewhere = True


class PretendDevice(TorchFunctionMode):
    """While it lasts, tensors are on the processor or on the pretend device."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        given = list(_tensors((args, kwargs)))
        away = [t for t in given if is_elsewhere(t)]
        if away and name in _NUMPY:
            raise TwoDevicesError(f"{name} of a tensor on the device")
        mixed = [t for t in given if not is_elsewhere(t) and t.dim() > 0]
        if away and mixed and name not in _MOVES:
            raise TwoDevicesError(f"{name} of a tensor on the device and one {tuple(mixed[0].shape)} on the processor")
        result = func(*args, **kwargs)
        if name == "__set__" and len(args) > 1 and isinstance(args[1], Tensor):  # the data of a parameter that is moved
            args[0]._elsewhere = is_elsewhere(args[1])
        asked = kwargs.get("device")
        if name == "to" and asked is None:
            asked = next((a for a in args[1:] if isinstance(a, str | torch.device)), None)
        if name == "cpu" or asked == "cpu":
            for tensor in _tensors(result):
                if is_elsewhere(tensor):  # the same object where it is on the processor in truth
                    return tensor.detach().clone() if not tensor.requires_grad else tensor.clone()
            return result
        if name not in _HOME and (asked is not None or away):
            for tensor in _tensors(result):
                tensor._elsewhere = True
        return result
