"""What several runs came to, side by side: means and spread over seeds, and which differences are ties. NOT private."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from accounting.mechanisms import Mechanism
from evaluation.report import StageCost

TIE = 2  # standard deviations over seeds below which a difference is none
BEFORE = ", before fine-tuning"
MARK = "NOT PRIVATE"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One finished run. SENSITIVE: its scores are computed from test images without noise.

    group: what is compared, such as a method. x: what it is compared over, such as the target epsilon; None for a run
    that does not depend on it. scores: by measure; `before` the same of the model before fine-tuning, if there are any.
    epsilon: what was spent at `delta`, None for a run without a guarantee; mechanisms: on what, by their release
    ids.
    """

    group: str
    x: float | str | None
    seed: int
    epsilon: float | None
    delta: float = 0.0
    mechanisms: Mapping[str, Mechanism] = field(default_factory=dict)
    scores: Mapping[str, float]
    before: Mapping[str, float] = field(default_factory=dict)
    costs: Sequence[StageCost] = ()
    samples: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The runs of one group at one x: mean and standard deviation over seeds of each measure, and the spent epsilon."""

    group: str
    x: float | str | None
    seeds: int
    epsilon: float | None
    mean: Mapping[str, float]
    deviation: Mapping[str, float | None]

    @property
    def private(self) -> bool:
        """Whether all of its runs have a guarantee."""
        return self.epsilon is not None


def summarised(entries: Sequence[Entry]) -> list[Line]:
    """A line for each group and x, in the order of the entries; scores before fine-tuning are lines of their own."""
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
    """One line of the table."""
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
    """Which of several private lines is "best" at an x and which "tie" with it, by group and x; no tie of one seed.

    A difference below two standard deviations over seeds (the root mean square of the two) is a tie. Lines that do not
    depend on x take part where it `covers` what they have spent.
    """
    able = [line for line in lines if line.private and measure in line.mean and not line.group.endswith(BEFORE)]
    found: dict[tuple[str, float | str | None], str] = {}
    for x in dict.fromkeys(line.x for line in able if line.x is not None):
        here = [line for line in able if line.x == x or (line.x is None and covers(x, line))]
        if len(here) < 2:
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
    """A group as tables and legends name it: marked where a run of it has no guarantee."""
    return group if all(line.private for line in lines if line.group == group) else f"{group} ({MARK})"


def covers(x: float | str | None, line: Line) -> bool:
    """Whether a line that does not depend on x, a budget, may stand at it: not where it has spent more."""
    return line.epsilon is None or not isinstance(x, int | float) or line.epsilon <= x


UNITS = {"FID": -1, "Fréchet distance": -1, "Inception Score": 1}
"""Measures that are no shares of one, and whether more (1) or less (-1) of them is better."""


def sign(measure: str) -> int:
    """1 where more is better, -1 where less is."""
    return UNITS.get(measure, 1)


def measures_of(lines: Sequence[Line]) -> list[str]:
    """Every measure that some line has."""
    return list(dict.fromkeys(name for line in lines for name in line.mean))
