"""How many threads a computation takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
