"""How a computation uses the machine: threads, and memory that is used again."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch

from atomlens.structures import InputError

# glibc's names for: keep freed memory up to so much; take blocks of up to so much (32 MB is the most) from it.
_MALLOC = {-1: 1 << 30, -3: 1 << 25}


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread inside, and give it back its threads after.

    Sums come out alike only if they are cut up alike. And a molecule's tensors are so small that threads mostly wait
    for each other: on a busy machine, ethanol on two threads takes seven times the processor time of one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def keep_memory() -> None:
    """Have the process keep memory that it frees, up to 1 GB, for its next arrays.

    By default, arrays of a few MB are new pages every time, and Dask has its workers give memory back at once; that
    costs more than the arithmetic on them (`benchmarks/dataset.py`).
    """
    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name.

    Raises
    ------
    InputError
        If there is no such device, or it cannot be used here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"device {str(name)!r} cannot be used here ({reason}); give 'cpu', or 'cuda' where there is one"
        ) from error
    if device.type == "meta":  # accepts everything and computes nothing
        raise InputError("device 'meta' computes nothing; give 'cpu', or 'cuda' where there is one")
    return device
