"""Reading ahead with the processes of a plain DataLoader: in order, and a UserError keeps its plain message."""

from __future__ import annotations

import os
import signal
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import RawValue
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from configs.errors import UserError

Read = Callable[[np.ndarray], Any]
LOOK_EVERY = 0.2  # seconds after which a worker looks whether it should end


class _Calls(Dataset):
    """The result of `read` for an array of rows. A UserError is returned, since raising would add a traceback to it."""

    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, rows: np.ndarray) -> Any:
        try:
            return self.read(rows)
        except UserError as error:
            return error


def read_ahead(read: Read, rows: Iterable[np.ndarray], workers: int) -> Iterator[Any]:
    """`read(here)` for each array `here` of `rows`, in order. Draws nothing from torch's global generator.

    Args:
        read: makes a tensor or a tuple of tensors from an array of rows.
        rows: arrays int64 [B].
        workers: processes that read ahead, at most `cores()`; they end when the iterator is closed. 0: this process
            reads when the next value is asked for.

    Raises:
        UserError: if `read` raises one, or if a process has died.
    """
    shutdown = _Shutdown()
    loader: DataLoader = DataLoader(
        _Calls(read),
        batch_size=None,
        sampler=cast(Any, rows),
        num_workers=min(workers, cores()),
        collate_fn=_as_it_is,
        worker_init_fn=shutdown.watch,
        generator=torch.Generator(),
    )
    try:
        for value in loader:
            if isinstance(value, UserError):
                raise value
            yield value
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            "a process that reads images ahead has died, perhaps because memory or space in /dev/shm ran out. Give "
            "fewer workers (launch.workers, or --workers of privimage prepare) and repeat the command; it resumes."
        ) from error
    finally:
        shutdown.begin()


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_it_is(value: Any) -> Any:
    return value


class _Shutdown:
    """Lets a worker tell where a SIGTERM comes from, and end by itself.

    A SIGTERM to the whole process group asks the training process to stop at a time of its choice. Until then workers
    ignore it and continue. After shutdown has begun, at the latest when the training process exits, a SIGTERM comes
    from torch or Python. It must end the worker, because both then wait for the worker to end.

    A worker also looks whether shutdown has begun: when the garbage collector finds the iterator in a cycle (with an
    error, for instance), it closes torch's queues before torch can send the message that ends the workers, and torch
    would wait five seconds for each.
    """

    def __init__(self) -> None:
        self._begun = RawValue("b", 0)  # no lock, because a signal handler reads it
        self.begin = weakref.finalize(self, setattr, self._begun, "value", 1)  # also called at exit

    def watch(self, worker: int) -> None:
        """Set the signal handlers of a worker."""
        begun = self._begun
        for number in (signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, lambda *_: os._exit(0) if begun.value else None)
        signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY, LOOK_EVERY)
