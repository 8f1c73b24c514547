"""Batch jobs on a SLURM cluster: the script of a run, and its submission."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from configs.errors import UserError
from configs.schema import Experiment, Slurm

SCRIPT = """\
#!/bin/bash
# Written by `privimage submit`. SLURM runs it again after each requeue, and the run continues from its last checkpoint.
{directives}
{setup}
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}" SRUN_CPUS_PER_TASK="${{SLURM_CPUS_PER_TASK:-1}}"

srun --kill-on-bad-exit=1 {command}
code=$?
if [ "$code" -eq {requeued} ]; then  # SIGUSR1: the time limit is near, or a preemption; the checkpoint is saved
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
REQUEUED = 128 + 10  # the exit code of a run that stopped at SIGUSR1


def batch_script(config: Experiment, words: list[str], logs: Path) -> str:
    """The batch script that runs `privimage run WORDS` on the cluster, with the settings of `slurm`. Reads no data.

    Args:
        words: the command line after `privimage run`.
        logs: folder for the job's output.

    Raises:
        UserError: if a directive or the time limit is invalid.
    """
    settings = config.slurm
    check_time(settings)
    program = ["privimage"] if settings.container else [sys.executable, "-m", "launch.cli"]
    command = " ".join(filter(None, [settings.container, shlex.join([*program, "run", *words])]))
    return SCRIPT.format(
        directives="\n".join(f"#SBATCH {line}" for line in directives(settings, config.run.name, logs)),
        setup="".join(f"\n{line}" for line in settings.setup),
        command=command,
        requeued=REQUEUED,
    )


def directives(settings: Slurm, name: str, logs: Path) -> Iterator[str]:
    """The job's options for sbatch, one per directive."""
    yield option("job-name", name)
    yield f"--nodes={settings.nodes}"
    yield f"--ntasks-per-node={settings.tasks_per_node or max(1, settings.gpus_per_node)}"
    if settings.gpus_per_node:
        yield f"--gpus-per-node={settings.gpus_per_node}"
    yield f"--cpus-per-task={settings.cpus_per_task}"
    yield option("time", settings.time)
    yield f"--signal=USR1@{settings.grace_seconds}"
    yield "--requeue"
    yield "--open-mode=append"
    yield option("chdir", str(Path.cwd()))
    yield option("output", str(logs.resolve()).replace("%", "%%") + "/%j.log")
    for flag, value in {"partition": settings.partition, "account": settings.account}.items():
        if value is not None:
            yield option(flag, value)
    for line in settings.directives:
        if not line.startswith("-") or "\n" in line:
            raise UserError(f"slurm.directives: got {line!r}; allowed are sbatch's options, such as --mem=64G.")
        yield line


def option(flag: str, value: str) -> str:
    """An option of sbatch with a value that may contain spaces.

    Raises:
        UserError: if the value contains what a directive cannot.
    """
    if not value or set(value) & set('"\\\n\r'):
        raise UserError(f"--{flag}: got {value!r}; a batch script allows neither quotes nor line breaks there.")
    return f'--{flag}="{value}"' if " " in value else f"--{flag}={value}"


def check_time(settings: Slurm) -> None:
    """Refuse a time limit that SLURM cannot read, or that leaves no time to work before saving begins.

    Raises:
        UserError: if it is refused.
    """
    match = re.fullmatch(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})", settings.time)
    if match is None:
        raise UserError(
            f"slurm.time: got '{settings.time}'; allowed is minutes, hours:minutes:seconds, or days-hours:minutes."
        )
    parts = [int(part) for part in match["parts"].split(":")]
    seconds = 86400 * int(match["days"] or 0)
    # after days SLURM reads HH, HH:MM or HH:MM:SS; otherwise MM, MM:SS or HH:MM:SS
    units = [3600, 60, 1] if match["days"] or len(parts) == 3 else [60, 1]
    seconds += sum(unit * part for unit, part in zip(units, parts, strict=False))
    if seconds <= settings.grace_seconds:
        raise UserError(
            f"slurm.time: {settings.time} is no longer than slurm.grace_seconds={settings.grace_seconds}, so a job "
            "would be queued again before it could work. Give more time, or a shorter grace period."
        )


def submit(script: Path) -> str:
    """Submit a batch script to SLURM, and return the job's number.

    Raises:
        UserError: if SLURM refuses it, with SLURM's reason.
    """
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise UserError(
            "there is no sbatch on this machine: submit from a login node of the cluster. --dry-run prints the script."
        )
    done = subprocess.run([sbatch, "--parsable", str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().removeprefix("sbatch: error: ") or f"exit code {done.returncode}"
        raise UserError(f"SLURM refuses the job: {reason}. The script is '{script}'; its settings are slurm.* keys.")
    return done.stdout.strip().split(";")[0]
