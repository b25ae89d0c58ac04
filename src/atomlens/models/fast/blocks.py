"""What sums over pairs need that go block by block, so that what is computed for a pair stays in the cache."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

# Numbers in a block's largest tensor: about what stays in a core's second-level cache.
_BLOCK = 320_000


def blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Cut rows of `width` numbers into blocks of equal size, for a short last one costs as many calls as any."""
    n_blocks = max(1, math.ceil(n_rows * width / _BLOCK))
    size = max(1, math.ceil(n_rows / n_blocks))
    for first in range(0, n_rows, size):
        yield slice(first, min(first + size, n_rows))


class Space:
    """Memory that all blocks of a sweep use in turn, by names, and the next sweep after it.

    Fresh memory costs more than what is done with it: the system hands it out page by page, and takes it back at once.
    What a thread has held it keeps, some four of the largest blocks. Sweeps do not nest.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._held: dict[Any, Tensor] = _kept.__dict__.setdefault("held", {})
        self._key = (like.dtype, like.device)

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Tensor of a shape, with anything in it."""
        numbers, key = math.prod(shape), (name, self._key)
        held = self._held.get(key)
        if held is None or len(held) < numbers:
            # Memory born in inference mode could not be written to outside of it.
            with torch.inference_mode(False):
                held = self._held[key] = torch.empty(numbers, dtype=self._like.dtype, device=self._like.device)
        return held[:numbers].view(shape)


_kept = threading.local()


def must_be_plain(gradient: Tensor) -> bool:
    """Whether derivatives have to be made of torch's own functions.

    Buffers know nothing of second derivatives, nor of batches of gradients (`torch.autograd.grad`'s
    ``is_grads_batched``).
    """
    known: Any = cast(Any, torch._C)._functorch  # torch has no public name for these questions
    return torch.is_grad_enabled() or known.is_legacy_batchedtensor(gradient) or known.is_batchedtensor(gradient)


def plain_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], needed: Sequence[bool], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Partial derivatives of a function by those of its inputs that are needed; themselves differentiable."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views, for inputs depend on each other: by way of earlier layers states depend on distances.
        views = [x.view_as(x) if x.requires_grad else x for x in inputs]
        wanted = [view for view, need in zip(views, needed, strict=True) if need]
        found = iter(torch.autograd.grad(function(*views), wanted, gradient, create_graph=create_graph))
    return tuple(next(found) if need else None for need in needed)
