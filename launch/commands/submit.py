"""`privimage submit`: run an experiment as a batch job on a SLURM cluster."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from configs.files import atomic_text
from launch.commands.experiment import add_experiment, read

DESCRIPTION = """\
Writes a SLURM batch script for an experiment and submits it: one task per GPU, on any number of machines. Some minutes
before the time limit, and at a preemption, the run saves a checkpoint and is requeued under the same job number. Give
the same command later to resume with other resources. The experiment is checked before it is queued.

Every option is also a key of the section `slurm` (partition, account, container, setup lines, further directives), so
that a cluster's settings can be in the experiment's YAML. docs/cluster.md has examples.
"""
OPTIONS = {
    "nodes": "machines",
    "gpus-per-node": "GPUs per machine; 0: CPUs only",
    "tasks-per-node": "processes per machine (default: one per GPU)",
    "cpus-per-task": "CPU cores per process",
    "time": "time limit of one allocation, such as 24:00:00",
    "partition": "partition of the cluster",
    "account": "account to charge",
}

METAVARS = {"time": "TIME", "partition": "NAME", "account": "NAME"}
"""What stands for the value of an option in the help; for the others, a number."""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(commands, "submit", "run an experiment as a SLURM job", DESCRIPTION, command)
    for name, help in OPTIONS.items():
        parser.add_argument(f"--{name}", metavar=METAVARS.get(name, "N"), help=help)
    parser.add_argument("--dry-run", action="store_true", help="print the script, submit nothing")


def command(options: argparse.Namespace) -> None:
    """Check, write the script, submit."""
    words = [options.experiment, *options.overrides, "launch.devices=1"]  # the processes are srun's
    given = {name: getattr(options, name.replace("-", "_")) for name in OPTIONS}
    options.overrides = options.overrides + [
        f"slurm.{name.replace('-', '_')}={value}" for name, value in given.items() if value is not None
    ]
    config = read(options)
    from launch import components
    from launch.preflight.checked_setup import set_up
    from launch.processes.slurm import batch_script, submit
    from launch.run.directory import RunDirectory

    components.load()
    set_up(config)
    directory = RunDirectory(Path(config.run.root) / config.run.name)
    logs = directory.internal / "slurm"
    script = batch_script(config, words, logs)
    if options.dry_run:
        print(script, end="")
        return
    with directory.lock():
        directory.claim(config)
        logs.mkdir(exist_ok=True)
        atomic_text(logs / "job.sh", script)
    job = submit(logs / "job.sh")
    report = {"job": job, "script": str(logs / "job.sh"), "log": str(logs / f"{job}.log")}
    print(
        json.dumps(report, indent=2) if options.json else f"job {job}: log in {report['log']}, state: squeue -j {job}"
    )
