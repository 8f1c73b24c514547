"""Start a command again as several processes on this machine, as torchrun does."""

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
    "process {rank} of the job was killed by {name}, which ended the job. If nobody killed it, the machine ran out of "
    "memory: lower micro_batch of the stage. The same command continues from the last checkpoint."
)
GRACE = 600  # seconds that processes get to save a checkpoint after a signal


def start_processes(count: int, words: list[str]) -> int:
    """Run `privimage WORDS` as one job of `count` processes.

    A process that fails ends the whole job. SIGTERM is passed on to all of them. SIGINT is not, since a terminal sends
    it to every process itself.

    Returns:
        0, or the exit code of the first process that failed.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the processes print their own messages
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
        if failure.exitcode > 0:  # it has printed the reason itself
            return failure.exitcode
        name = signal.Signals(-failure.exitcode).name
        print(f"privimage: {KILLED.format(rank=rank, name=name)}", file=sys.stderr)
        return 128 - failure.exitcode
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return 0
