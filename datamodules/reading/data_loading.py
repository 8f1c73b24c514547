"""Reading ahead by the processes of a plain DataLoader, in order, and with errors that are still plain messages."""

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


class _Calls(Dataset):
    """What `read` gives for each array of rows; a UserError is handed on as a value, lest it come with a traceback."""

    def __init__(self, read: Read) -> None:
        self.read = read

    def __getitem__(self, rows: np.ndarray) -> Any:
        try:
            return self.read(rows)
        except UserError as error:
            return error


def read_ahead(read: Read, rows: Iterable[np.ndarray], workers: int) -> Iterator[Any]:
    """`read(rows)`, a tensor or a tuple of tensors, for each of these arrays of rows, in their order.

    workers: processes that work ahead; 0 reads when asked. They end when the iterator is closed. Raises the UserError
    that `read` raises, and one where a process has died. Draws nothing from torch's global random numbers.
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
            "a process that reads images ahead has died, perhaps of too little memory or room in /dev/shm. Give fewer "
            "workers (launch.workers, or --workers of privimage prepare) and the same command again; it goes on."
        ) from error
    finally:
        shutdown.begin()


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_it_is(value: Any) -> Any:
    return value


class _Shutdown:
    """Tells the workers whose SIGTERM it is.

    Sent to the whole group it asks the training process to stop in its own time, and workers go on until then. Once
    shutting down has begun, at the latest when the training process exits, it is torch's or Python's and ends a worker:
    both wait for one that they have sent it to.
    """

    def __init__(self) -> None:
        self._begun = RawValue("b", 0)  # without a lock: it is read in a signal handler
        self.begin = weakref.finalize(self, setattr, self._begun, "value", 1)  # also called at exit

    def watch(self, worker: int) -> None:
        """Set the signal handlers of a worker."""
        begun = self._begun
        for number in (signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if begun.value else None)
