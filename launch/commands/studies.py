"""What `compare` and `sweep` share: running a study's cells and writing what they came to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.schema import Experiment
from launch.commands.experiment import read
from launch.console import Console
from launch.processes.interrupts import install


def add_options(parser: argparse.ArgumentParser, kind: str) -> None:
    """Options of both commands."""
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="runs of each cell, seeds 0 … N-1 (default 1)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="runs at once, each with its share of the cores (default 1)"
    )
    parser.add_argument("--name", help=f"folder of the {kind} under run.root (default: EXPERIMENT-{kind})")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only errors")


def check_options(options: argparse.Namespace) -> None:
    """Check the options of `add_options`, before anything that takes time."""
    for option in ("seeds", "jobs"):
        if getattr(options, option) < 1:
            raise UserError(f"--{option}: got {getattr(options, option)}; allowed is 1 or more.")
    if options.name is not None and (not options.name or "/" in options.name or options.name.startswith(".")):
        raise UserError(f"--name: got {options.name!r}; allowed is a plain folder name.")


def do(
    options: argparse.Namespace,
    kind: str,
    cells: Sequence[Any],
    *,
    group_name: str,
    x_name: str,
    ceilings: Mapping[str, str] | None = None,
) -> int:
    """Run the cells that are missing, write tables and page.

    Returns:
        The exit code: 1 if a cell failed.
    """
    config = read(options)
    from launch import components
    from launch.studies.comparison_files import together, write
    from launch.studies.study import Study, as_json, failures

    components.load()
    name = options.name or f"{config.run.name}-{kind}"
    folder = Path(config.run.root) / name
    cells = list(dict.fromkeys(cells))
    study = Study(folder, options.experiment, options.overrides, cells, options.jobs)
    configs = [scored(study.config(cell)) for cell in cells]  # a mistake in a configuration is found before any work
    public = all(components.sensitive_source(config).public_benchmark for config in configs)
    install()
    console = Console(quiet=options.quiet or options.json)
    outcomes = study.run(console)
    entries = [outcome.entry for outcome in outcomes if outcome.entry is not None]
    failed = failures(outcomes)
    if entries:
        texts = write(folder, entries, failed, group_name, x_name, ceilings or {}, together(entries))
        if public and not options.json:
            print(texts)
        console.line(f"  look at     {folder / 'comparison.html'} (not private)")
    if options.json:
        print(as_json(outcomes))
    for text in failed:
        console.failure(text)
    return 1 if failed else 0


def scored(config: Experiment) -> Experiment:
    """The configuration of a run, if its scores can be compared.

    Raises:
        UserError: it lacks a stage that makes them.
    """
    if not {"evaluate", "report"} <= set(config.stages):
        raise UserError("stages: scores are compared, so every run needs the stages evaluate and report.")
    return config
