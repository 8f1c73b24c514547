"""Reading ahead by the processes of a plain DataLoader, in order, and with errors that are still plain messages."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
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
    that `read` raises. Draws nothing from torch's global random numbers.
    """
    loader: DataLoader = DataLoader(
        _Calls(read),
        batch_size=None,
        sampler=cast(Any, rows),
        num_workers=min(workers, cores()),
        collate_fn=_as_it_is,
        worker_init_fn=_leave_signals_to_the_parent,
        generator=torch.Generator(),
    )
    for value in loader:
        if isinstance(value, UserError):
            raise value
        yield value


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_it_is(value: Any) -> Any:
    return value


def _leave_signals_to_the_parent(worker: int) -> None:
    """A signal to the whole group asks the training process to stop in its own time; workers end with it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
