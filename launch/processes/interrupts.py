"""Signals that ask a run to stop. A handler only sets a flag; the work checks it between two steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from launch.processes.environment import rank

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
NOTE = "\nprivimage: stopping after this step with a checkpoint; Ctrl-C again stops at once.\n"


class _State:
    """What the handlers have seen. There is one per process, as with signals."""

    installed = False
    """Whether `install` was called."""
    received: signal.Signals | None = None
    """The first signal that asked to stop."""


class Interrupted(Exception):
    """Work stopped at a signal, after a checkpoint was saved. The same command continues from there.

    Args:
        number: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command continues from here")
        self.signal = int(number)


def install() -> None:
    """Handle SIGINT, SIGTERM and SIGUSR1. Called once, at the start of the program, from its main thread."""
    _State.installed = True
    reinstate()


def expect_requeue() -> None:
    """Handle only SIGUSR1: SLURM may send it at any moment, and a process without a handler is killed by it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _note)


def reinstate() -> None:
    """Restore the handlers after a library replaced them. Does nothing if `install` was never called."""
    if _State.installed and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, _note)


def requested() -> signal.Signals | None:
    """The signal that asked this process to stop, or None."""
    return _State.received


def stop_if_asked() -> None:
    """Raise Interrupted if a signal asked this process to stop."""
    if _State.received is not None:
        raise Interrupted(_State.received)


def ignore() -> None:
    """Ignore further signals, so that a process that is about to end keeps its exit code."""
    if _State.installed:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def clear() -> None:
    """Forget a request to stop, in a process that continues with other work."""
    _State.received = None


def _note(number: int, frame: FrameType | None) -> None:
    """The handler: sets the flag. A SIGINT after that stops the process at once."""
    if number == signal.SIGINT and _State.received is not None:
        raise KeyboardInterrupt
    first = _State.received is None
    _State.received = _State.received or signal.Signals(number)  # the first one wins: SLURM may send several
    if first and rank() == 0:  # only one of several processes prints it
        os.write(2, NOTE.encode())  # print() must not be called from a handler: it may be running already
