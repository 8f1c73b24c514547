"""The pace of this machine, from a few batches of each stage."""

from __future__ import annotations

import os
import warnings

from configs.schema import Experiment
from launch.preflight.checked_setup import set_up
from launch.preflight.estimates import estimates
from launch.preflight.measuring import Job
from launch.processes.device import pick_device
from launch.proposal.facts import Pace

BUSY = 0.5  # processes that compute, per core


def measured_pace(config: Experiment) -> Pace:
    """Measure each stage of a draft on public images, as `privimage preflight` does. Reads no sensitive image.

    Args:
        config: a draft with the networks that the run will have; its numbers of steps do not matter.

    Warns if the machine is busy with something else: threads that wait for each other then take many times as long.

    Raises:
        UserError: whatever `privimage preflight` says of the draft.
    """
    if os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
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
