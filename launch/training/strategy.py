"""Lightning's Trainer on all processes of a job: which options it needs, and its strategy for private fits."""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy

from launch.processes.ranks import Ranks, cluster_environment


class PrivateStrategy(DDPStrategy):
    """Processes that start from the first one's weights and share nothing but what the module itself reduces.

    DDP's reducer would average ordinary gradients, before they are clipped or noised, whenever a backward pass runs; so
    the module is left as it is. Every process takes the same step from the same reduced sum and the same noise.
    """

    def configure_ddp(self) -> None:
        """Weights, averages and buffers as the first process has them."""
        module = cast(LightningModule, self.lightning_module)
        for tensor in chain(module.parameters(), module.buffers()):
            dist.broadcast(tensor.data, src=0)


def trainer_options(ranks: Ranks, *, private: bool) -> dict[str, Any]:
    """Lightning's options for a fit on all processes of the job; a private fit needs its own strategy.

    The environment is named outright: left to itself, Lightning takes any process within a SLURM job for a task of it,
    and SLURM's plugin saves inside its signal handler.
    """
    if ranks.world == 1:
        return {"devices": 1, "plugins": [cluster_environment()]}
    strategy = PrivateStrategy() if private else "ddp"
    return {
        "devices": ranks.local_world,
        "num_nodes": ranks.nodes,
        "strategy": strategy,
        "plugins": [cluster_environment()],
    }
