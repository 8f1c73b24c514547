"""Tables and page of a comparison or a sweep. NOT private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from accounting.composition import epsilon
from accounting.statements import delta_text, epsilon_text
from configs.files import atomic_text
from evaluation import comparison_tables as tables
from evaluation.comparison_statistics import UNITS, Entry, measures_of, summarised
from launch.console import table


def together(entries: Sequence[Entry]) -> str:
    """What all private runs cost whoever is shown all of them: each is private by itself, and they compose.

    An answer that several of them have, one having taken it over from another, is one answer.
    """
    private = [entry for entry in entries if entry.epsilon is not None]
    answers = {name: mechanism for entry in private for name, mechanism in entry.mechanisms.items()}
    mechanisms = list(answers.values())
    if not mechanisms:
        return "No run of this comparison spends any privacy."
    delta = min(entry.delta for entry in private)
    spent = epsilon(mechanisms, delta, "rdp")
    return (
        f"Each private run is covered by the ε of its own line, if it was chosen before this page was seen. Whoever is "
        f"given all {len(private)} of them is given ε = {epsilon_text(spent)} at δ = {delta_text(delta)}. "
        "Choosing one by these scores spends privacy that neither number covers, the scores being computed from "
        "sensitive images without noise."
    )


def write(
    folder: Path,
    entries: Sequence[Entry],
    failed: Sequence[str],
    group_name: str,
    x_name: str,
    ceilings: Mapping[str, str],
    note: str,
) -> str:
    """Write comparison.csv, .md and .html; returns the main tables for a terminal. NOT private."""
    lines = summarised(entries)
    parts = []
    for measure in measures_of(lines):
        direction = "higher is better" if tables.sign(measure) > 0 else "lower is better"
        unit = "" if measure in UNITS else "per cent, "
        caption = (
            f"{unit}{direction}; mean ± standard deviation over seeds. (best): the best private run; (tie): under two "
            "standard deviations from it; neither with a single seed."
        )
        parts.append((measure, caption, tables.wide(lines, measure, group_name, x_name)))
    gaps = [tables.gaps(lines, measure, ceilings, x_name) for measure in measures_of(lines)]
    gap_rows = [(f"Gap to the non-private ceiling, {rows[0][3].split(',')[0]}", rows) for rows in gaps if len(rows) > 1]
    parts += [
        (title, "ceiling less private, in points or units; more is a larger loss", rows) for title, rows in gap_rows
    ]
    parts.append(("All", "every line with every measure", tables.long(lines, group_name, x_name)))
    resources = tables.resources(entries, group_name)
    parts.append(("Time and memory", "mean time of each stage, greatest peak memory of its process", resources))
    notes = [note, *(f"Failed: {text}" for text in failed)]
    first = min(entry.seed for entry in entries)
    pictures = [
        (entry.group if entry.x is None else f"{entry.group}, {x_name} = {tables.place(entry.x)}", entry.samples)
        for entry in entries
        if entry.seed == first and entry.samples
    ]
    atomic_text(folder / "comparison.csv", tables.comma_separated(entries, group_name, x_name))
    text = [f"# {folder.name}", "", "NOT private: computed from sensitive test images without noise.", "", *notes]
    for title, caption, rows in parts:
        text += ["", f"## {title}", "", caption, "", tables.markdown(rows)]
    atomic_text(folder / "comparison.md", "\n".join(text) + "\n")
    drawings = tables.charts(lines, x_name)
    atomic_text(folder / "comparison.html", tables.page(folder.name, notes, parts, drawings, pictures))
    return "\n\n".join(f"{title}\n{table(rows)}" for title, _, rows in parts)
