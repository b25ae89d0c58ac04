"""Paired timings: this machine's speed drifts, so things that are compared are timed in turn.

Scripts that take ``--device cuda`` call `use_device`: a work's time is then that until the device is done with it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch

_clock = time.perf_counter
_wait: Callable[[], object] = lambda: None  # noqa: E731 (for work that a device was given)


def use_device(name: str) -> torch.device:
    """The device of that name, whose work is waited for from now on; leave with one line where there is none."""
    global _wait
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        print(f"--device {name} cannot be used here: {str(error).splitlines()[0]}", file=sys.stderr)
        sys.exit(2)
    if device.type != "cpu":
        _wait = torch.get_device_module(device).synchronize
    return device


def once(work: Callable[[], object]) -> float:
    """Seconds that one call takes; of the processor, where `use_cpu_time` was called."""
    _wait()
    start = _clock()
    work()
    _wait()
    return _clock() - start


def use_cpu_time() -> None:
    """Count the processor time of this process: on a busy machine waiting says nothing. Meant for one thread."""
    global _clock
    _clock = time.process_time


def paired(works: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each work, the works called in turn `repeats` times after one uncounted round."""
    for work in works:
        work()
    rounds = [[once(work) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def paired_ratio(a: Callable[[], object], b: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median seconds of a and of b, and the median of the ratio a/b round by round."""
    a(), b()
    rounds = [(once(a), once(b)) for _ in range(repeats)]
    seconds = [statistics.median(column) for column in zip(*rounds, strict=True)]
    return seconds[0], seconds[1], statistics.median(x / y for x, y in rounds)
