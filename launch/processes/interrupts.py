"""Signals that ask a run to stop. A handler only sets a flag; work acts on it between two steps."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from launch.processes.environment import rank

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
NOTE = "\nprivimage: stopping after this step with a checkpoint; Ctrl-C again stops at once.\n"


class _State:
    """What the handlers have seen; one per process, as signals are."""

    installed = False
    received: signal.Signals | None = None


class Interrupted(Exception):
    """Work stopped at a signal, after a checkpoint was saved; the same command goes on from there.

    signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command goes on from here")
        self.signal = int(number)


def install() -> None:
    """Take over SIGINT, SIGTERM and SIGUSR1, once at the start of the program and from its main thread."""
    _State.installed = True
    reinstate()


def expect_requeue() -> None:
    """Take over SIGUSR1 alone: SLURM may send it at any moment, and whom it takes unawares dies of it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _note)


def reinstate() -> None:
    """Put the handlers back where a library replaced them; nothing where `install` was never called."""
    if _State.installed and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, _note)


def requested() -> signal.Signals | None:
    """The signal that asked this process to stop, or None."""
    return _State.received


def stop_if_asked() -> None:
    """Raise Interrupted where a signal asked this process to stop."""
    if _State.received is not None:
        raise Interrupted(_State.received)


def ignore() -> None:
    """Take no more signals: a process that is on its way out keeps its exit code."""
    if _State.installed:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def clear() -> None:
    """Forget a request, for a process that goes on with other work."""
    _State.received = None


def _note(number: int, frame: FrameType | None) -> None:
    """The handler: set the flag; a SIGINT after it stops at once."""
    if number == signal.SIGINT and _State.received is not None:
        raise KeyboardInterrupt
    first = _State.received is None
    _State.received = _State.received or signal.Signals(number)  # the first one wins: SLURM may send several
    if first and rank() == 0:  # of several processes one says it
        os.write(2, NOTE.encode())  # print() may not be entered again from a handler
