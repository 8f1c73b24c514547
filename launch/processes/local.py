"""A command started again as several processes of this machine, the way torchrun does it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

KILLED = (
    "process {rank} of the job was killed by {name}, and with it the job. Where nobody did that, the machine was out "
    "of memory: lower micro_batch of the stage. The same command goes on from the last checkpoint."
)
GRACE = 600  # seconds that processes get to save a checkpoint after a signal


def start_processes(count: int, words: list[str]) -> int:
    """Run `privimage WORDS` as `count` processes that know each other; returns the first exit code that is not 0.

    A process that fails ends the whole job. SIGTERM is passed on to all of them. SIGINT is left to them, since a
    terminal sends it to every process by itself.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the processes speak for themselves
    signal.signal(signal.SIGINT, lambda *_: None)
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(),
        signals_to_handle="SIGTERM,SIGHUP,SIGQUIT,SIGUSR1",
        shutdown_timeout=GRACE,
    )
    try:
        elastic_launch(settings, sys.executable)("-m", "launch.cli", *words)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:  # it has said why itself
            return failure.exitcode
        name = signal.Signals(-failure.exitcode).name
        print(f"privimage: {KILLED.format(rank=rank, name=name)}", file=sys.stderr)
        return 128 - failure.exitcode
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return 0
