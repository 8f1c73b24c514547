"""Trying a mutant: running its tests on a copy of the repository with the change."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutants.mutant import Mutant

PASSED, FAILED = 0, 1  # pytest's exit codes; any other says that the tests were not run


class Verdict(Enum):
    """The verdict on a mutant. Only the first two are good."""

    CAUGHT = "caught"
    HANGS = "hangs"  # caught as well: its tests do not end
    LIVES = "LIVES"
    BROKEN = "BROKEN"  # its tests cannot be run with the change, so they prove nothing
    STALE = "STALE"  # its old text or one of its tests no longer exists

    @property
    def good(self) -> bool:
        """Whether the tests noticed the change."""
        return self in (Verdict.CAUGHT, Verdict.HANGS)


@dataclass(frozen=True)
class Outcome:
    """The result of trying a mutant."""

    mutant: Mutant
    """The mutant."""
    verdict: Verdict
    """Whether it was caught."""
    by: str
    """The test that noticed, or why no test could."""
    seconds: float = 0.0
    """How long it took."""


@dataclass(frozen=True)
class Result:
    """The result of a run of pytest."""

    code: int | None
    """Its exit code; None if it did not end in time."""
    output: str
    """What it printed."""

    @property
    def failed(self) -> str:
        """The first test that failed, by its short name; '' if there is no name in the output."""
        found = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", self.output, flags=re.MULTILINE)
        return found[1] if found else ""


def tracked_files(root: Path) -> list[str]:
    """The files of the repository in `root`, including uncommitted ones, without those that Git ignores."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if name and (root / name).is_file()]


class Copy:
    """A copy of the repository in its own folder, for one change at a time."""

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self._above = Path(tempfile.mkdtemp(prefix="privimage-mutant-"))
        self.path = self._above / "copy"
        self._running: subprocess.Popen[bytes] | None = None
        for name in files:
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)

    def close(self) -> None:
        """End the processes that run in the copy, and remove it."""
        self._kill()
        shutil.rmtree(self._above, ignore_errors=True)

    @contextlib.contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Apply a mutant's change to the copy inside the block."""
        file = self.path / mutant.file
        before = file.read_text()
        self._write(file, mutant.applied_to(before))
        try:
            yield
        finally:
            self._write(file, before)

    def run(self, tests: Sequence[str], limit: float) -> Result:
        """Run tests of the copy up to the first failure; ended after `limit` seconds."""
        options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={self._above / 'temporary'}"]
        options += ["--hypothesis-profile=mutants", "--hypothesis-seed=0"]
        words = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
        environment = {**os.environ, "PYTHONPATH": str(self.path), "OMP_NUM_THREADS": "1"}
        output = self._above / "output"
        with open(output, "wb") as file:
            running = self._running = subprocess.Popen(
                words, cwd=self.path, env=environment, stdout=file, stderr=file, start_new_session=True
            )
            try:
                code: int | None = running.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            self._kill()  # also the processes that it left behind
        return Result(code, output.read_text(errors="replace"))

    def _write(self, file: Path, text: str) -> None:
        """Write with a new time: Python reuses a compiled file if time and size agree, as they may for two changes."""
        file.write_text(text)
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()

    def _kill(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def tried(mutant: Mutant, copy: Copy, limit: float) -> Outcome:
    """Whether the tests of a mutant notice it."""
    began = time.monotonic()
    problem = mutant.problem(copy.path)
    if problem:
        return Outcome(mutant, Verdict.STALE, problem)
    with copy.changed(mutant):
        result = copy.run(mutant.tests, limit)
        if result.code is None:  # the machine may have been suspended
            result = copy.run(mutant.tests, limit)
    seconds = time.monotonic() - began
    if result.code is None:
        return Outcome(mutant, Verdict.HANGS, f"twice its tests did not end within {limit:g} s", seconds)
    if result.code == PASSED:
        return Outcome(mutant, Verdict.LIVES, f"{', '.join(mutant.tests)} passed", seconds)
    if result.code == FAILED and result.failed:
        return Outcome(mutant, Verdict.CAUGHT, result.failed, seconds)
    return Outcome(mutant, Verdict.BROKEN, f"pytest ended with code {result.code}:\n{result.output[-2000:]}", seconds)
