"""Results of several runs next to each other: mean and spread over seeds, and which differences are ties.

Sensitive: the scores are computed from test images without noise and are not private.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from accounting.mechanisms import Mechanism
from evaluation.scores import StageCost

TIE = 2  # standard deviations over seeds; a smaller difference is a tie
BEFORE = ", before fine-tuning"
MARK = "NOT PRIVATE"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One finished run.

    Sensitive: its scores are computed from test images without noise.
    """

    group: str
    """What is compared, such as a method."""
    x: float | str | None
    """What the groups are compared over, such as the target epsilon; None for a run that does not depend on it."""
    seed: int
    """Of the run."""
    epsilon: float | None
    """Spent at `delta`; None for a run without a guarantee."""
    delta: float = 0.0
    """Delta of the run's ledger, in [0, 1)."""
    mechanisms: Mapping[str, Mechanism] = field(default_factory=dict)
    """The charged mechanisms, by their release ids."""
    scores: Mapping[str, float]
    """By measure."""
    before: Mapping[str, float] = field(default_factory=dict)
    """By measure, the scores of the model before fine-tuning; empty if there are none."""
    costs: Sequence[StageCost] = ()
    """Time and memory of the stages, in order."""
    samples: str = ""
    """The grid of sample images as a data: URI; '' if there is none."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The runs of one group at one x."""

    group: str
    """As in `Entry`."""
    x: float | str | None
    """As in `Entry`."""
    seeds: int
    """Number of runs."""
    epsilon: float | None
    """The largest that a run has spent; None if one of them has no guarantee."""
    mean: Mapping[str, float]
    """By measure, over the runs that have it."""
    deviation: Mapping[str, float | None]
    """By measure, the sample standard deviation over seeds; None for a single run."""

    @property
    def private(self) -> bool:
        """Whether all its runs have a guarantee."""
        return self.epsilon is not None


def summarised(entries: Sequence[Entry]) -> list[Line]:
    """A line for each group and x, in the order of the entries; then lines of the scores before fine-tuning."""
    found: dict[tuple[str, float | str | None], list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.group, entry.x), []).append(entry)
    lines = [line(group, x, runs, lambda run: run.scores) for (group, x), runs in found.items()]
    pretrained = {(group, x): [run for run in runs if run.before] for (group, x), runs in found.items()}
    lines += [line(group + BEFORE, x, runs, lambda run: run.before) for (group, x), runs in pretrained.items() if runs]
    return lines


def line(
    group: str, x: float | str | None, runs: Sequence[Entry], scores: Callable[[Entry], Mapping[str, float]]
) -> Line:
    """One line of the table: the runs of `group` at `x`, with the scores that `scores` takes from a run."""
    measures = list(dict.fromkeys(name for run in runs for name in scores(run)))
    values = {name: [scores(run)[name] for run in runs if name in scores(run)] for name in measures}
    spent = [run.epsilon for run in runs]
    return Line(
        group=group,
        x=x,
        seeds=len(runs),
        epsilon=None if None in spent else max(value for value in spent if value is not None),
        mean={name: statistics.fmean(found) for name, found in values.items()},
        deviation={name: statistics.stdev(found) if len(found) > 1 else None for name, found in values.items()},
    )


def verdicts(lines: Sequence[Line], measure: str) -> dict[tuple[str, float | str | None], str]:
    """Which private lines are the "best" at an x, and which are a "tie" with the best.

    A difference below two standard deviations over seeds (the root mean square of the two lines') is a tie. Where a
    line has a single seed, nothing is said: nobody knows how far another seed would be. A line that does not depend on
    x takes part at each x that `covers` what it has spent.

    Args:
        measure: the score to compare by.

    Returns:
        "best" or "tie", by group and x; only at an x with two or more lines, all of several seeds.
    """
    able = [line for line in lines if line.private and measure in line.mean and not line.group.endswith(BEFORE)]
    found: dict[tuple[str, float | str | None], str] = {}
    for x in dict.fromkeys(line.x for line in able if line.x is not None):
        here = [line for line in able if line.x == x or (line.x is None and covers(x, line))]
        if len(here) < 2 or any(line.deviation[measure] is None for line in here):
            continue
        best = max(here, key=lambda line: line.mean[measure] * sign(measure))
        for other in here:
            both = [line.deviation[measure] for line in (best, other)]
            if other is best:
                found.setdefault((other.group, x), "best")
            elif all(value is not None for value in both):
                spread = math.sqrt(statistics.fmean(value**2 for value in both if value is not None))
                if abs(best.mean[measure] - other.mean[measure]) < TIE * spread:
                    found[(other.group, x)] = "tie"
    return found


def named(lines: Sequence[Line], group: str) -> str:
    """The name of a group in tables and legends: marked NOT PRIVATE if one of its runs has no guarantee."""
    return group if all(line.private for line in lines if line.group == group) else f"{group} ({MARK})"


def covers(x: float | str | None, line: Line) -> bool:
    """Whether a line that does not depend on x may be shown at x: not if x is a budget and the line has spent more."""
    return line.epsilon is None or not isinstance(x, int | float) or line.epsilon <= x


UNITS = {"FID": -1, "Fréchet distance": -1, "Inception Score": 1}
"""Measures that are not shares in [0, 1], and whether more (1) or less (-1) is better."""


def sign(measure: str) -> int:
    """1 if more of a measure is better, -1 if less is."""
    return UNITS.get(measure, 1)


def measures_of(lines: Sequence[Line]) -> list[str]:
    """Every measure that some line has, in the order in which they first occur."""
    return list(dict.fromkeys(name for line in lines for name in line.mean))
