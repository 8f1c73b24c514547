"""Freed memory stays with the process, so the next step need not request it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from launch.processes.malloc import keep_freed_memory

WORK = """
import resource
import numpy as np
from launch.processes.malloc import keep_freed_memory
{keep}
def step():
    blocks = [np.ones(2**21) for _ in range(8)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(keep: str) -> int:
    """Page faults of a process that allocated and freed 128 MiB ten times."""
    script = WORK.format(keep=keep)
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    if not keep_freed_memory():
        pytest.skip("the C library is not glibc")
    assert page_faults("keep_freed_memory()") < page_faults("") / 10
