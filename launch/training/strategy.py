"""Lightning's Trainer on all processes of a job: its options, and its strategy for private fits."""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy

from launch.processes.ranks import Ranks, cluster_environment


class PrivateStrategy(DDPStrategy):
    """Processes start from the weights of the first one and exchange only what the module itself reduces.

    The module is not wrapped in DDP: in every backward pass, DDP's reducer would average ordinary gradients, which are
    not yet clipped or noised. Every process takes the same step from the same reduced sum and the same noise.
    """

    def configure_ddp(self) -> None:
        """Broadcast weights, averages and buffers of the first process."""
        module = cast(LightningModule, self.lightning_module)
        for tensor in chain(module.parameters(), module.buffers()):
            dist.broadcast(tensor.data, src=0)


def trainer_options(ranks: Ranks, *, private: bool) -> dict[str, Any]:
    """Lightning's options for a fit on all processes of the job.

    The environment is given explicitly. Otherwise Lightning would regard any process inside a SLURM job as one of its
    tasks, and SLURM's plugin would save inside its signal handler.

    Args:
        private: whether the fit is private and needs `PrivateStrategy`.
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
