"""Who makes the shards: this process, worker processes of this machine, or those of a Dask cluster."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from atomlens.models import keep_memory
from atomlens.structures import InputError, install_command
from atomlens.surveys.shard import ShardReport, ShardTask, make_shard

# A task whose workers die or that fails is given to others so many times.
_RETRIES = 3


def work(tasks: Iterator[ShardTask], n_workers: int = 1, scheduler: str | None = None) -> Iterator[ShardReport]:
    """Make all shards, in any order; only a few tasks a worker are under way at a time, however many there are.

    Parameters
    ----------
    tasks
        The shards to make.
    n_workers
        Processes of this machine, of one thread each; 1 is this process itself.
    scheduler
        Address of a Dask scheduler to use instead, for example ``tcp://host:8786``. Its workers must see the folder of
        the run and have atomlens installed.

    Raises
    ------
    InputError
        If Dask is not installed, or nobody answers at the address.
    """
    if n_workers <= 1 and scheduler is None:
        yield from map(_make_shard, tasks)
        return
    with ExitStack() as stack:
        client = dask_client(stack, n_workers, scheduler)
        yield from _spread(tasks, client, n_workers)


def dask_client(stack: ExitStack, n_workers: int, scheduler: str | None) -> Any:
    """A Dask client of processes of this machine, or of the scheduler at an address; `stack` closes all of it.

    Raises
    ------
    InputError
        If Dask is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(f"several workers need Dask; run: {install_command('dask')}") from error
    if scheduler is None:
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # any free port; the usual one may be taken
            silence_logs=logging.CRITICAL,
        )
        return stack.enter_context(Client(stack.enter_context(cluster)))
    try:
        return stack.enter_context(Client(scheduler, timeout=30))
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error


def _spread(tasks: Iterator[ShardTask], client: Any, n_workers: int) -> Iterator[ShardReport]:
    from distributed import as_completed

    def submit() -> Iterator[Any]:
        # Enough to keep everyone busy; a cluster may grow meanwhile.
        room = 3 * max(n_workers, sum(client.nthreads().values())) - waiting.count()
        for task in islice(tasks, max(room, 0)):
            # As bytes, or the scheduler would make and unmake thousands of structures that it never looks at.
            yield client.submit(_make_packed, pickle.dumps(task), pure=False, retries=_RETRIES)

    waiting = as_completed()
    waiting.update(list(submit()))
    for future in waiting:
        yield future.result()
        future.release()
        waiting.update(list(submit()))


def _make_packed(task: bytes) -> ShardReport:
    return _make_shard(pickle.loads(task))


def _make_shard(task: ShardTask) -> ShardReport:
    keep_memory()
    return make_shard(task)
