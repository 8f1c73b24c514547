"""Jobs of several processes, which are forked: that saves their imports."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

LIMIT = 300.0  # seconds


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    returncode: int
    """That of the process that failed first; 0 if none did."""
    text: str
    """What its processes have printed."""


def forked(processes: int, act: Callable[[], int | None], output: Path) -> Ended:
    """A function as a job of forked processes, which find themselves in it as those of torchrun do.

    As torchrun does, it ends the others when one process fails.

    Args:
        processes: how many.
        act: what each of them does; its exit code, or None for 0.
        output: file for what they print.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output.write_text("")
    running = {_fork(rank, processes, port, act, output) for rank in range(processes)}
    end, code = time.monotonic() + LIMIT, 0
    while running:
        for pid in list(running):
            if (status := os.waitpid(pid, os.WNOHANG))[0]:
                running.discard(pid)
                code = code or os.waitstatus_to_exitcode(status[1])
        if code or time.monotonic() > end:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            for pid in running:
                os.waitpid(pid, 0)
            return Ended(code or 124, output.read_text())
        time.sleep(0.01)
    return Ended(0, output.read_text())


def _fork(rank: int, world: int, port: int, act: Callable[[], int | None], output: Path) -> int:
    """A process of a job; returns its number in the process that forked it."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"}
        os.environ |= {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "TORCHELASTIC_RUN_ID": "forked"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        torch.set_num_threads(1)
        torch.cuda.is_available = lambda: False  # a process forked from one that has used a GPU cannot use it
        code = act() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
