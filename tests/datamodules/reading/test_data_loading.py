"""Processes that read ahead: in order, they ignore signals for the training process, and their death is noticed."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.process
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from configs.errors import UserError
from datamodules.reading.data_loading import read_ahead
from tests.datamodules.class_images import gone_but, helpers

ROWS = [np.arange(first, first + 3) for first in range(0, 300, 3)]


def doubled(rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(2 * rows)


def begun() -> Iterator[torch.Tensor]:
    """After two batches, so both workers are running."""
    values = read_ahead(doubled, ROWS, 2)
    assert [next(values).tolist() for _ in range(2)] == [[0, 2, 4], [6, 8, 10]]
    return values


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_does_not_stop_the_workers(number: signal.Signals) -> None:
    before, values = helpers(), begun()
    for worker in multiprocessing.active_children():
        os.kill(worker.pid or 0, number)
    assert [value.tolist() for value in values] == [(2 * rows).tolist() for rows in ROWS[2:]]
    assert gone_but(before)


@pytest.mark.slow
def test_a_program_ends_though_an_iterator_was_never_closed() -> None:
    """It waits for its workers at exit, so they must not ignore the signal that it sends them then."""
    text = "from tests.datamodules.reading.test_data_loading import begun; values = begun()"
    assert subprocess.run([sys.executable, "-c", text], timeout=120, stdin=subprocess.DEVNULL).returncode == 0


def test_a_worker_that_dies_is_said_in_one_message() -> None:
    def deadly() -> Iterator[np.ndarray]:
        yield from ROWS[:20]
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        time.sleep(1)  # torch's handler notices it here
        yield from ROWS[20:]

    before = helpers()
    with pytest.raises(UserError, match=r"has died.*Give fewer workers"):
        list(read_ahead(doubled, deadly(), 2))
    assert gone_but(before)


@pytest.mark.parametrize("workers", [0, 2])
def test_other_errors_stay_what_they_are(workers: int) -> None:
    def failing(rows: np.ndarray) -> torch.Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_ahead(failing, ROWS, workers))


@pytest.mark.slow
def test_an_iterator_in_a_cycle_ends_its_workers_without_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch ends a worker by force when it has waited for five seconds."""
    forced = []
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "terminate", forced.append)
    before, values = helpers(), [begun()]
    values.append(values)
    del values
    gc.collect()
    assert gone_but(before) and not forced
