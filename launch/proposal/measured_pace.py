"""The pace of this machine, from a few batches of each stage."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

from configs.schema import Experiment
from launch.preflight.checked_setup import set_up
from launch.preflight.estimates import estimates
from launch.preflight.measuring import Job
from launch.processes.device import pick_device
from launch.proposal.facts import Pace

BUSY = 0.25  # share of the cores' time that other programs take
WATCHED = 0.5  # seconds
CORES = Path("/proc/stat")


def measured_pace(config: Experiment) -> Pace:
    """Measure each stage of a draft on public images, as `privimage preflight` does. Reads no sensitive image.

    Args:
        config: a draft with the networks that the run will have; its numbers of steps do not matter.

    Warns if the machine is busy with something else: threads that wait for each other then take many times as long.

    Raises:
        UserError: whatever `privimage preflight` says of the draft.
    """
    if busy_share() > BUSY:
        warnings.warn(
            "other programs compute on this machine while it is measured, so the run will be planned too small; stop "
            "them and give the command again, or use --no-measure",
            stacklevel=2,
        )
    seconds = {row.stage: row.seconds for row in estimates(set_up(config), pick_device(config), Job())}
    images = {
        "classifier": config.classifier.steps * config.classifier.batch_size,
        "pretrain": config.pretrain.steps * config.pretrain.batch_size,
        "finetune": config.finetune.steps * config.finetune.batch_size,
        "synthesize": config.synthesize.count,
    }
    return Pace(**{stage: seconds[stage] / count for stage, count in images.items()})


def busy_share() -> float:
    """The share of all cores' time that is used while this process waits for half a second; 0 on other than Linux."""
    if not CORES.is_file():
        return 0.0
    before = core_times()
    time.sleep(WATCHED)
    used = [after - then for after, then in zip(core_times(), before, strict=True)]
    return 1 - (used[3] + used[4]) / max(1, sum(used))  # idle, and waiting for a disk


def core_times() -> list[int]:
    """The times that the cores have spent in each way since the machine started, in ticks."""
    return [int(word) for word in CORES.read_text().split("\n", 1)[0].split()[1:9]]
