"""How this process was started: by itself, or as part of a job by `torchrun` or `srun`. Imports nothing heavy."""

from __future__ import annotations

import os


def under_torchrun() -> bool:
    """Whether torchrun started this process, inside SLURM or outside."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def under_srun() -> bool:
    """Whether this is one of several tasks that `srun` started itself."""
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    return not under_torchrun() and "SLURM_STEP_ID" in os.environ and int(tasks) > 1


def one_of_several() -> bool:
    """Whether torchrun or srun started this process as part of a job."""
    return under_torchrun() or under_srun()


def rank() -> int:
    """The number of this process in its job, from 0; 0 if it was started by itself."""
    names = {"RANK": under_torchrun(), "SLURM_PROCID": under_srun()}
    return next((int(os.environ[name]) for name, holds in names.items() if holds), 0)
