"""Where networks run."""

from __future__ import annotations

import torch

from configs.errors import UserError
from configs.schema import Experiment
from launch.processes.ranks import Ranks


def pick_device(config: Experiment, ranks: Ranks = Ranks()) -> torch.device:  # noqa: B008 (frozen)
    """The device that is configured or, for `auto`, available. Also sets the number of CPU threads.

    Raises:
        UserError: if no CUDA device is visible, or the machine has fewer GPUs than processes.
    """
    if config.launch.threads:
        torch.set_num_threads(config.launch.threads)
    elif ranks.world == 1 and config.launch.devices > 1:  # measures for several processes, which share the cores
        torch.set_num_threads(max(1, torch.get_num_threads() // config.launch.devices))
    wanted = config.launch.accelerator
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("launch.accelerator: no CUDA device is visible. Use launch.accelerator=cpu or auto.")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
    if kind == "cuda" and ranks.world > 1:
        if ranks.local_world > torch.cuda.device_count():
            raise UserError(
                f"launch.devices: {ranks.local_world} processes on this machine, but {torch.cuda.device_count()} GPUs. "
                "Start one process per GPU."
            )
        torch.cuda.set_device(ranks.rank % ranks.local_world)
        return torch.device(kind, ranks.rank % ranks.local_world)
    return torch.device(kind)
