"""Which tensors a model is made of, and a model made of given tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from atomlens.models.config import ModelConfig
from atomlens.models.potential import Potential
from atomlens.structures import InputError


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a model by name, those of shared layers once, under their first name."""
    return dict(chain(model.named_parameters(), model.named_buffers()))


def empty_potential(config: ModelConfig) -> Potential:
    """Model without memory for its weights: their names, shapes and types alone (torch's meta device).

    Raises
    ------
    InputError
        If the configuration describes no network that can be built.
    """
    try:
        with _Unallocated():
            return Potential(config)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # torch's words for impossible sizes
        raise InputError(f"the model's configuration describes no network ({_first_line(error)})") from error


def build_potential(config: ModelConfig, tensors: Mapping[str, Tensor]) -> Potential:
    """Model of a configuration with the given tensors, each in its own dtype; layers that are shared stay shared.

    No random number is drawn and nothing is allocated besides the tensors that are handed in.

    Parameters
    ----------
    config
        What to build.
    tensors
        One tensor for every name that `named_tensors` lists for that model.

    Raises
    ------
    InputError
        If a tensor is missing, is one too many, has another shape, or holds anything but finite real numbers.
    """
    model = empty_potential(config)
    expected = named_tensors(model)
    if missing := [name for name in expected if name not in tensors]:
        raise InputError(f"the file lacks the tensor {missing[0]} that its configuration asks for")
    if unknown := [name for name in tensors if name not in expected]:
        raise InputError(f"the file holds the tensor {unknown[0]}, which its configuration has no place for")
    for name, place in expected.items():
        tensor = tensors[name]
        if tensor.shape != place.shape:
            raise InputError(
                f"the tensor {name} has shape {tuple(tensor.shape)}, its configuration asks for {tuple(place.shape)}"
            )
        if not tensor.is_floating_point():
            raise InputError(f"the tensor {name} is of type {tensor.dtype}; weights are real numbers")
        if not torch.isfinite(tensor).all():
            raise InputError(f"the tensor {name} has entries that are not finite; the model cannot predict anything")
        owner_name, _, last = name.rpartition(".")
        owner = model.get_submodule(owner_name)
        if isinstance(place, nn.Parameter):
            setattr(owner, last, nn.Parameter(tensor, requires_grad=False))
        else:
            setattr(owner, last, tensor)
    return model.eval()


def with_card(model: Potential, **entries: object) -> Potential:
    """The same model with entries added to its data card, in place."""
    model.config = replace(model.config, card={**model.config.card, **entries})
    return model


class _Unallocated(TorchFunctionMode):
    """Make layers without allocating or filling their weights.

    Not ``torch.device("meta")``: on that, the arithmetic of radial grids makes torch import its compiler, which
    takes seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty:
            return func(*args, **{**kwargs, "device": "meta"})
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
