"""Try mutants and say which ones survive: `python -m tests.mutants`. Each job has its own copy of the repository."""

from __future__ import annotations

import argparse
import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from tests.mutants.areas import chosen
from tests.mutants.mutant import Mutant
from tests.mutants.trial import PASSED, Copy, Outcome, Result, tracked_files, tried

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 240.0  # seconds: several times what the slowest tests take
Value = TypeVar("Value")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Changes the source in small ways that break the guarantee, and runs the tests that must notice. "
        "Ends with `caught N of N`; the exit code is 0 if all were caught.",
    )
    found.add_argument("-k", metavar="WORDS", default="", help="only mutants whose area, file or description has WORDS")
    found.add_argument("--list", action="store_true", help="print the mutants without trying them")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found.add_argument("--jobs", type=int, default=min(4, cores), help="mutants at once (default: %(default)s)")
    found.add_argument("--limit", type=float, default=LIMIT, help="seconds for one mutant (default: %(default)g)")
    found.add_argument(
        "--baseline",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="first check that the tests pass without any change",
    )
    return found


class Jobs:
    """Runs work on copies of the repository, `count` pieces at the same time."""

    def __init__(self, count: int) -> None:
        files = tracked_files(ROOT)
        self.copies = [Copy(ROOT, files) for _ in range(max(1, count))]
        self._free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in self.copies:
            self._free.put(copy)
        self._pool = ThreadPoolExecutor(len(self.copies))

    def on_copies(self, work: Sequence[Callable[[Copy], Value]], show: Callable[[int, Value], None]) -> list[Value]:
        """The result of each piece of work, in order; `show` is called with its number and its result when it ends."""

        def act(piece: Callable[[Copy], Value]) -> Value:
            copy = self._free.get()
            try:
                return piece(copy)
            finally:
                self._free.put(copy)

        futures = {self._pool.submit(act, piece): number for number, piece in enumerate(work)}
        for future in as_completed(futures):
            show(futures[future], future.result())
        return [future.result() for future in futures]

    def close(self) -> None:
        """End all work and remove the copies."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for copy in self.copies:
            copy.close()


def baseline(jobs: Jobs, pairs: Sequence[tuple[str, Mutant]]) -> list[Result]:
    """Run the tests of these mutants without their changes, area by area; returns the results that failed."""
    tests: dict[str, dict[str, None]] = {}
    for area, mutant in pairs:
        tests.setdefault(area, {}).update(dict.fromkeys(mutant.tests))
    work = [lambda copy, each=tuple(each): copy.run(each, 20 * LIMIT) for each in tests.values()]
    results = jobs.on_copies(work, lambda number, _: say(f"unchanged: tests of {list(tests)[number]}"))
    return [result for result in results if result.code != PASSED]


def table(pairs: Sequence[tuple[str, Mutant]], outcomes: Sequence[Outcome]) -> str:
    """The number of caught mutants of each area, then the mutants that were not caught."""
    areas = list(dict.fromkeys(area for area, _ in pairs))
    width = max(map(len, [*areas, "area"]))
    lines = [f"{'area':<{width}}  mutants  caught", f"{'-' * width}  -------  ------"]
    for area in areas:
        own = [outcome for (where, _), outcome in zip(pairs, outcomes, strict=True) if where == area]
        lines.append(f"{area:<{width}}  {len(own):>7}  {sum(outcome.verdict.good for outcome in own):>6}")
    for outcome in outcomes:
        if not outcome.verdict.good:
            change = f"{outcome.mutant.old.strip()!r} -> {outcome.mutant.new.strip()!r}"
            lines += ["", f"{outcome.verdict.value}: {outcome.mutant.breaks}", f"  {outcome.mutant.file}: {change}"]
            lines.append(f"  {outcome.by}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a line without buffering."""
    print(text, flush=True)


def main(words: Sequence[str]) -> int:
    """Try the mutants that the command line selects; returns the exit code."""
    options, began = parser().parse_args(words), time.monotonic()
    pairs = chosen(options.k)
    if options.list:
        for area, mutant in pairs:
            say(f"{area}: {mutant.breaks} ({mutant.file})")
        return 0
    if not pairs:
        say(f"no mutant has {options.k!r} in its area, file or description (see --list)")
        return 2
    jobs = Jobs(min(options.jobs, len(pairs)))
    try:
        for result in baseline(jobs, pairs) if options.baseline else ():
            say(f"{result.output[-4000:]}\nThe tests do not pass without any change, so they say nothing of mutants.")
            return 2
        digits = len(str(len(pairs)))
        finished = iter(range(1, len(pairs) + 1))

        def show(number: int, outcome: Outcome) -> None:
            area, mutant = pairs[number]
            count = f"[{next(finished):>{digits}}/{len(pairs)}]"
            by = outcome.by.splitlines()[0]
            say(f"{count} {outcome.verdict.value:<6} {outcome.seconds:4.0f} s  {area}: {mutant.breaks} ({by})")

        work = [lambda copy, each=mutant: tried(each, copy, options.limit) for _, mutant in pairs]
        outcomes = jobs.on_copies(work, show)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    finally:
        jobs.close()
    caught = sum(outcome.verdict.good for outcome in outcomes)
    say(f"\n{table(pairs, outcomes)}\n\n{(time.monotonic() - began) / 60:.1f} minutes")
    say(f"caught {caught} of {len(pairs)}")
    return 0 if caught == len(pairs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
