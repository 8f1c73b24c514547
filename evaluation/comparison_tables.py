"""Tables, curves and a page with the results of several runs.

Sensitive: the scores are computed from test images without noise and are not private.
"""

from __future__ import annotations

import csv
import io
import statistics
import unicodedata
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from accounting.statements import epsilon_text
from evaluation.comparison_statistics import (
    BEFORE,
    MARK,
    UNITS,
    Entry,
    Line,
    covers,
    measures_of,
    named,
    sign,
    summarised,
    verdicts,
)
from evaluation.figures import Chart, Series, line_chart
from evaluation.formatting import MISSING, duration, number, size
from evaluation.report import page_environment

EVERYWHERE: tuple[None] = (None,)


def shown(value: float | None, deviation: float | None, measure: str) -> str:
    """A mean with its standard deviation, if known: shares such as accuracies in per cent, other measures unchanged."""
    if value is None:
        return MISSING
    if measure not in UNITS:
        return f"{100 * value:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")
    return number(value, 3) + ("" if deviation is None else f" ± {number(deviation, 2)}")


def place(x: float | str | None) -> str:
    """The x of a line as text; exact, because it may be a budget."""
    if x is None or isinstance(x, str):
        return MISSING if x is None else x
    short = f"{x:g}"
    return short if float(short) == x else repr(x)


def wide(lines: Sequence[Line], measure: str, group_name: str, x_name: str) -> list[list[str]]:
    """One measure as a table with a row per group and a column per x, like PrivImage Table 2.

    A line without x appears in every column whose budget it does not exceed.

    Args:
        lines: to show.
        measure: the score to show.
        group_name: heading of the groups.
        x_name: name of x in the headings.

    Returns:
        Rows of cells; the first row is the heading.
    """
    columns = sorted(
        {line.x for line in lines if line.x is not None}, key=lambda x: (isinstance(x, str), x), reverse=True
    )
    marks, cells = verdicts(lines, measure), {(line.group, line.x): line for line in lines}
    head = [group_name, *(f"{x_name} = {place(x)}" for x in columns)]
    rows = [head if columns else [group_name, measure]]
    for group in dict.fromkeys(line.group for line in lines):
        row = [named(lines, group)]
        for x in columns or EVERYWHERE:
            line = cells.get((group, x)) or cells.get((group, None))
            line = line if line is None or line.x is not None or covers(x, line) else None
            text = MISSING if line is None else shown(line.mean.get(measure), line.deviation.get(measure), measure)
            row.append(f"{text} ({marks[(group, x)]})" if (group, x) in marks else text)
        rows.append(row)
    return rows


def long(lines: Sequence[Line], group_name: str, x_name: str) -> list[list[str]]:
    """Every line with every measure: rows of cells, the first row is the heading."""
    measures = measures_of(lines)
    rows = [[group_name, x_name, "ε spent", "seeds", *measures]]
    for line in lines:
        spent = MARK if not line.private else epsilon_text(line.epsilon)
        cells = [shown(line.mean.get(name), line.deviation.get(name), name) for name in measures]
        rows.append([line.group, place(line.x), spent, str(line.seeds), *cells])
    return rows


def gaps(lines: Sequence[Line], measure: str, ceilings: Mapping[str, str], x_name: str) -> list[list[str]]:
    """What privacy costs each method, like PrivImage Table 3: the mean of its ceiling minus its own mean.

    Args:
        lines: methods and their ceilings.
        measure: the score to show, in percentage points or in its own unit.
        ceilings: by group, the group that is its ceiling.
        x_name: heading of x.

    Returns:
        Rows of cells; the first row is the heading. Groups without a ceiling are left out.
    """
    cells = {line.group: line for line in lines if line.x is None}
    rows = [["method", x_name, "ceiling", f"{measure}, ceiling", f"{measure}, private", "gap"]]
    for line in lines:
        ceiling = cells.get(ceilings.get(line.group, ""))
        if ceiling is None or measure not in line.mean or measure not in ceiling.mean:
            continue
        gap = (ceiling.mean[measure] - line.mean[measure]) * sign(measure)
        both = [shown(found.mean[measure], found.deviation[measure], measure) for found in (ceiling, line)]
        names = [line.group, place(line.x), named([ceiling], ceiling.group)]
        rows.append([*names, *both, shown(gap, None, measure)])
    return rows


def resources(entries: Sequence[Entry], group_name: str) -> list[list[str]]:
    """Mean time and greatest peak memory of each stage, like PrivImage Table 4: rows of cells, the heading first.

    A shared stage counts for the run that has done it.
    """
    latest: dict[str, int] = {}  # last position of a stage in any run: it orders the stages that not all runs have too
    for entry in entries:
        for position, cost in enumerate(entry.costs):
            latest[cost.name] = max(position, latest.get(cost.name, 0))
    stages, lines = sorted(latest, key=latest.__getitem__), summarised(entries)
    rows = [[group_name, *stages, "together"]]
    for group in dict.fromkeys(entry.group for entry in entries):
        runs = [entry for entry in entries if entry.group == group]
        row, total = [named(lines, group)], 0.0
        for stage in stages:
            costs = [cost for run in runs for cost in run.costs if cost.name == stage]
            if not costs:
                row.append(MISSING)
                continue
            seconds = statistics.fmean(cost.seconds for cost in costs)
            peak = max(cost.gpu_peak_bytes or cost.peak_bytes for cost in costs)
            total += seconds
            row.append(f"{duration(seconds)}, {size(peak)}")
        rows.append([*row, duration(total)])
    return rows


def charts(lines: Sequence[Line], x_name: str) -> list[Chart]:
    """A chart of each measure over x, if x is a number and there are at least two.

    Groups without x are horizontal lines. Scores before fine-tuning are in the tables only.
    """
    lines = [line for line in lines if not line.group.endswith(BEFORE)]
    xs = sorted({float(line.x) for line in lines if isinstance(line.x, int | float)})
    if len(xs) < 2:
        return []
    drawn = []
    for measure in measures_of(lines):
        series = []
        for group in dict.fromkeys(line.group for line in lines):
            here = sorted(
                (x, found.mean[measure])
                for found in lines
                if found.group == group and measure in found.mean
                for x in xs
                if found.x == x or (found.x is None and covers(x, found))
            )
            if here:
                series.append(Series(named(lines, group), [x for x, _ in here], [value for _, value in here]))
        drawn.append(Chart(f"{measure} against {x_name}", x_name, measure, series))
    return drawn


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table; the first row is the heading."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [cells[0], ["---"] * len(cells[0]), *cells[1:]])


def comma_separated(entries: Sequence[Entry], group_name: str, x_name: str) -> str:
    """A CSV file with one row per run, not rounded, and names of columns in ASCII."""
    measures = list(dict.fromkeys(name for entry in entries for name in entry.scores))
    stages = list(dict.fromkeys(cost.name for entry in entries for cost in entry.costs))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    before = [f"before fine-tuning: {name}" for name in measures]
    names = [group_name, x_name, "seed", "guarantee", "epsilon_spent", *measures, *before]
    writer.writerow([*map(in_ascii, names), *(f"{stage}_seconds" for stage in stages)])
    for entry in entries:
        seconds = {cost.name: cost.seconds for cost in entry.costs}
        guarantee = MARK if entry.epsilon is None else "private"
        row = [entry.group, entry.x, entry.seed, guarantee, entry.epsilon]
        row += [entry.scores.get(name) for name in measures]
        writer.writerow([*row, *(entry.before.get(name) for name in measures), *(seconds.get(s) for s in stages)])
    return out.getvalue()


def in_ascii(name: str) -> str:
    """A column's name for programs that read nothing but ASCII: ε is epsilon, é is e."""
    return unicodedata.normalize("NFKD", name.replace("ε", "epsilon")).encode("ascii", "ignore").decode()


def page(
    title: str,
    notes: Sequence[str],
    tables: Sequence[tuple[str, str, Sequence[Sequence[str]]]],
    drawings: Sequence[Chart],
    pictures: Sequence[tuple[str, str]],
) -> str:
    """The comparison as one self-contained HTML page.

    Args:
        title: of the page.
        notes: paragraphs below the title.
        tables: (title, caption, rows) of each table; the first row is the heading.
        drawings: charts.
        pictures: (caption, data: URI) of each picture.
    """
    return (
        page_environment()
        .get_template("comparison.html.j2")
        .render(
            title=title,
            notes=notes,
            tables=tables,
            drawings=[(chart.title, Markup(line_chart(chart))) for chart in drawings],
            pictures=pictures,
        )
    )
