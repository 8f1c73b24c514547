"""Cells of a study in forked processes: as separate as those of a user, but torch and Lightning are imported already.

`test_a_stopped_comparison_goes_on` has a cell in an interpreter of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from launch.studies import child
from tests.launch.runs import as_process


class Forked:
    """Takes the place of `subprocess.Popen(words, stdout=DEVNULL, stderr=…, start_new_session=True, env=…)`."""

    def __init__(self, words: Sequence[str], stderr: int, env: Mapping[str, str], **settings: Any) -> None:
        assert words[:3] == [sys.executable, "-m", "launch.cli"] and settings["stdout"] == subprocess.DEVNULL
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.environ.update(env)
            as_process(list(words[3:]), os.open(os.devnull, os.O_WRONLY), stderr)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are forked from this process."""
    monkeypatch.setattr(child, "subprocess", SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL))
