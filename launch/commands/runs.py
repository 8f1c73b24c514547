"""`privimage runs`: every run below a folder."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.statements import epsilon_text, target_text
from launch.console import table

if TYPE_CHECKING:
    from launch.run.overview import RunLine

DESCRIPTION = """\
Lists the runs below a folder: state, method, the epsilon that each release states (the budget of a run without one; NOT
PRIVATE where there is no guarantee), and the best accuracy for public benchmarks. Scores of other sets are not private
and stay in each run's report.

  privimage runs                              those in runs/
  privimage runs demo-comparison/runs         those of a comparison
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "runs",
        help="list runs with their state, method and epsilon",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "root", nargs="?", type=Path, default=Path("runs"), help="folder that holds runs (default: runs)"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Print a line for each run."""
    from launch import components
    from launch.run.overview import runs_below

    components.load()
    found = runs_below(options.root)
    if options.json:
        print(json.dumps([asdict(line) for line in found], indent=2))
    elif not found:
        print(f"there are no runs in '{options.root}'")
    else:
        heading = ["run", "state", "method", "images", "ε", "score"]
        print(table([heading, *map(row, found)]))


def row(line: RunLine) -> list[str]:
    """A run as a row of the table."""
    if not line.private:
        epsilon = "NOT PRIVATE"
    elif line.epsilon is not None:
        epsilon = epsilon_text(line.epsilon)
    else:
        epsilon = "" if line.target is None else f"of {target_text(line.target)}"
    return [line.name, line.state, line.method, line.sensitive, epsilon, line.score]
