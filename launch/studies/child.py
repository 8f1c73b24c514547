"""A run in its own process: its output is passed on to us, and signals to stop are passed on to it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence

from launch.processes.interrupts import requested

TAIL = 16384  # characters at the end of a run's output that contain its error message


def run_child(words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command to its end.

    Args:
        words: the command.
        environment: its environment variables.

    Returns:
        Its exit code, and its last error message or ''.
    """
    ours, theirs = terminal() if sys.stderr.isatty() else os.pipe()
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True, env=environment
    ) as process:
        os.close(theirs)
        try:
            said = follow(process, ours)
        except KeyboardInterrupt:  # the second Ctrl-C stops the run at once
            process.kill()
            raise
    return process.returncode, said


def terminal() -> tuple[int, int]:
    """Both ends of a terminal with the size of ours, so that the run draws its progress bars."""
    ours, theirs = pty.openpty()
    columns, rows = shutil.get_terminal_size()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return ours, theirs


def follow(process: subprocess.Popen[bytes], source: int) -> str:
    """Pass on the output of a run, and pass on to it a signal that asks us to stop.

    Args:
        process: the run.
        source: file descriptor of its output.

    Returns:
        Its last error message, or ''.
    """
    tail, passed = "", False
    with open(source, "rb", buffering=0) as stream:
        while True:
            number = requested()
            if number is not None and not passed:
                process.send_signal(number)
                passed = True
            if not select.select([stream], [], [], 0.5)[0]:
                continue
            try:
                chunk = stream.read(65536)
            except OSError:  # a terminal whose other end is closed
                break
            if not chunk:
                break
            text = chunk.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            tail = (tail + text)[-TAIL:]
    errors = [line for line in tail.splitlines() if line.startswith("privimage: ") and "warning: " not in line]
    return errors[-1].removeprefix("privimage: ") if errors else ""
