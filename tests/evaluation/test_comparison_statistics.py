"""Means, spread and ties over seeds."""

from __future__ import annotations

import csv
import dataclasses
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import comparison_tables as tables
from evaluation.comparison_statistics import BEFORE, Entry, measures_of, summarised, verdicts
from evaluation.scores import StageCost

unit = st.floats(0, 1)


def entry(group: str, x: float | None, seed: int, score: float, *, private: bool = True, **more: object) -> Entry:
    return Entry(group=group, x=x, seed=seed, epsilon=x or 0.0 if private else None, scores={"CNN": score}, **more)  # type: ignore[arg-type]


@given(st.lists(unit, min_size=1, max_size=6), st.lists(unit, min_size=1, max_size=6))
def test_a_line_is_the_mean_and_deviation_of_its_runs(first: list[float], second: list[float]) -> None:
    entries = [entry("a", 1.0, seed, value) for seed, value in enumerate(first)]
    entries += [entry("b", 1.0, seed, value) for seed, value in enumerate(second)]
    one, two = summarised(entries)
    for line, values in ((one, first), (two, second)):
        assert line.seeds == len(values)
        assert line.mean["CNN"] == pytest.approx(float(np.mean(values)))
        if len(values) == 1:
            assert line.deviation["CNN"] is None
        else:
            assert line.deviation["CNN"] == pytest.approx(float(np.std(values, ddof=1)), abs=1e-12)


@given(st.lists(unit, min_size=2, max_size=5), st.lists(unit, min_size=2, max_size=5))
def test_a_tie_is_under_two_deviations_and_the_best_is_best(first: list[float], second: list[float]) -> None:
    entries = [entry("a", 1.0, seed, value) for seed, value in enumerate(first)]
    entries += [entry("b", 1.0, seed, value) for seed, value in enumerate(second)]
    found = verdicts(summarised(entries), "CNN")
    means, variances = [np.mean(v) for v in (first, second)], [np.var(v, ddof=1) for v in (first, second)]
    best, other = ("a", "b") if means[0] >= means[1] else ("b", "a")
    gap, limit = abs(means[0] - means[1]), 2 * math.sqrt(np.mean(variances))
    assert "best" in found.values()
    if gap > 1e-9:  # equal means may be rounded differently
        assert found[(best, 1.0)] == "best"
    if min(gap, abs(gap - limit)) > 1e-9:
        assert (found.get((other, 1.0)) == "tie") == (gap < limit)


def twice(*entries: Entry) -> list[Entry]:
    """The same runs with two seeds."""
    return [dataclasses.replace(each, seed=seed) for seed in range(2) for each in entries]


def test_a_ceiling_is_not_the_best_and_with_one_seed_nothing_is() -> None:
    entries = [entry("a", 1.0, 0, 0.6), entry("b", 1.0, 0, 0.5), entry("c", None, 0, 0.9, private=False)]
    assert verdicts(summarised(twice(*entries)), "CNN") == {("a", 1.0): "best"}
    assert verdicts(summarised(entries), "CNN") == {}
    assert verdicts(summarised([*twice(*entries[1:]), entries[0]]), "CNN") == {}


def test_less_distance_is_better() -> None:
    entries = [
        Entry(group=group, x=1.0, seed=0, epsilon=1.0, scores={"FID": value})
        for group, value in (("a", 9.0), ("b", 3.0))
    ]
    assert verdicts(summarised(twice(*entries)), "FID") == {("b", 1.0): "best"}


def test_what_does_not_hang_on_the_budget_takes_part_at_every_budget() -> None:
    entries = [entry("a", 1.0, 0, 0.4), entry("a", 10.0, 0, 0.8), entry("control", None, 0, 0.6)]
    lines = summarised(twice(*entries))
    assert verdicts(lines, "CNN") == {("control", 1.0): "best", ("a", 10.0): "best"}
    assert tables.wide(lines, "CNN", "method", "ε") == [
        ["method", "ε = 10", "ε = 1"],
        ["a", "80.0 ± 0.0 (best)", "40.0 ± 0.0"],
        ["control", "60.0 ± 0.0", "60.0 ± 0.0 (best)"],
    ]


def test_scores_before_fine_tuning_are_a_line_of_their_own() -> None:
    entries = [entry("a", 1.0, seed, 0.8, before={"CNN": 0.25 * (1 + seed)}) for seed in range(2)]
    lines = summarised(entries)
    assert [line.group for line in lines] == ["a", "a" + BEFORE]
    assert lines[1].mean == {"CNN": 0.375}
    assert verdicts(lines, "CNN") == {}  # one line that can be compared is not the best of anything


def test_the_gap_is_what_privacy_costs() -> None:
    entries = [entry("a", 1.0, 0, 0.5), entry("ceiling", None, 0, 0.9, private=False)]
    rows = tables.gaps(summarised(entries), "CNN", {"a": "ceiling", "ceiling": ""}, "ε")
    assert rows[1:] == [["a", "1", "ceiling (NOT PRIVATE)", "90.0", "50.0", "40.0"]]


def test_every_run_is_a_row_and_every_stage_has_its_cost() -> None:
    costs = [StageCost(name="pretrain", seconds=90.0, peak_bytes=2**30)]
    entries = [entry("a", 1.0, seed, 0.1 * seed, costs=costs) for seed in range(3)]
    rows = list(csv.reader(io.StringIO(tables.comma_separated(entries, "method", "ε"))))
    assert rows[0][:4] == ["method", "epsilon", "seed", "guarantee"] and "".join(rows[0]).isascii()
    assert [row[:6] for row in rows[1:]] == [["a", "1.0", str(s), "private", "1.0", str(0.1 * s)] for s in range(3)]
    assert tables.resources(entries, "method") == [
        ["method", "pretrain", "together"],
        ["a", "1 min 30 s, 1 GiB", "1 min 30 s"],
    ]
    assert measures_of(summarised(entries)) == ["CNN"]


def test_curves_need_two_numbers_and_ceilings_go_across() -> None:
    few = summarised([entry("a", 1.0, 0, 0.4)])
    assert tables.charts(few, "ε") == []
    entries = [entry("a", 1.0, 0, 0.4), entry("a", 10.0, 0, 0.8), entry("top", None, 0, 0.9, private=False)]
    (chart,) = tables.charts(summarised(entries), "ε")
    assert [(s.name, list(s.x), list(s.y)) for s in chart.series] == [
        ("a", [1.0, 10.0], [0.4, 0.8]),
        ("top (NOT PRIVATE)", [1.0, 10.0], [0.9, 0.9]),
    ]


def test_names_in_a_page_are_escaped() -> None:
    rows = [["<b>", "x"], ["<script>", "1"]]
    text = tables.page("<i>", ["<u>"], [("t", "c", rows)], [], [])
    assert not any(tag in text for tag in ("<script>", "<i>", "<u>")) and "&lt;script&gt;" in text
    assert tables.markdown([["a|b"], ["c"]]).splitlines()[0] == "| a\\|b |"


def test_what_has_spent_more_than_a_budget_does_not_stand_at_it() -> None:
    control = Entry(group="control", x=None, seed=0, epsilon=2.0, scores={"CNN": 0.9})
    lines = summarised(twice(entry("a", 1.0, 0, 0.4), entry("a", 10.0, 0, 0.8), control))
    assert verdicts(lines, "CNN") == {("control", 10.0): "best"}
    assert tables.wide(lines, "CNN", "method", "ε")[2] == ["control", "90.0 ± 0.0 (best)", tables.MISSING]


def test_stages_that_not_all_runs_have_stand_in_the_order_of_the_work() -> None:
    def costs(*names: str) -> list[StageCost]:
        return [StageCost(name=name, seconds=1.0, peak_bytes=1) for name in names]

    few = entry("a", 1.0, 0, 0.5, costs=costs("classifier", "select", "finetune"))
    more = entry("b", 1.0, 0, 0.5, costs=costs("classifier", "query", "select", "pretrain", "finetune"))
    head = ["method", "classifier", "query", "select", "pretrain", "finetune", "together"]
    assert tables.resources([few, more], "method")[0] == head


def test_shares_are_shown_in_per_cent_and_other_scores_as_they_are() -> None:
    assert tables.shown(0.5, 0.01, "precision") == "50.0 ± 1.0"
    assert tables.shown(2.5, 0.5, "Inception Score") == "2.5 ± 0.5"
    lines = summarised(
        twice(
            *(
                Entry(group=name, x=1.0, seed=0, epsilon=1.0, scores={"Inception Score": value})
                for name, value in (("a", 2.0), ("b", 3.0))
            )
        )
    )
    assert verdicts(lines, "Inception Score")[("b", 1.0)] == "best"
