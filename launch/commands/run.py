"""`privimage run`: run an experiment from data to report, or resume it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from accounting.statements import delta_text, epsilon_text
from launch.commands.experiment import add_experiment, read
from launch.console import Console
from launch.processes.environment import one_of_several, rank
from launch.processes.interrupts import install, stop_if_asked

DESCRIPTION = """\
Runs an experiment from data to report. Give the same command again to resume after an interruption: finished stages are
skipped, training resumes from its last checkpoint, and nothing is charged twice. launch.devices=N uses N processes on
this machine; for several machines use torchrun (`torchrun … --no-python privimage run EXPERIMENT`). The number of
processes may change when a run is resumed.

Results go to runs/NAME: release/ is safe to publish, internal/ (scores, report, curves) is not private.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(commands, "run", "run an experiment, or resume it", DESCRIPTION, command)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only errors")


def command(options: argparse.Namespace) -> int:
    """Run, on several processes if configured, then say where the results are."""
    config = read(options)
    stop_if_asked()
    if config.launch.devices > 1 and not one_of_several():
        from launch.processes.local_job import start_processes

        return start_processes(config.launch.devices, options.words)
    install()
    from launch import components
    from launch.pipeline import run, summary

    components.load()
    console = Console(quiet=options.quiet or options.json)
    directory = run(config, console)
    if rank() != 0:
        return 0
    result = summary(directory)
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    if "epsilon" in result:
        secret = "" if result["private"] else " if the key were secret: NOT PRIVATE"
        console.line(f"  guarantee   ε = {epsilon_text(result['epsilon'])}, δ = {delta_text(result['delta'])}{secret}")
    if result["release"]:
        private = result["private"]
        console.line(f"  publish     {result['release']}" if private else "  publish     nothing of this run")
    if result["report"]:
        console.line(f"  look at     {result['report']} (not private)")
    return 0
