"""The processes of a job that `torchrun` started: which one this is, and how a private fit runs on all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy

from configs.errors import UserError
from datamodules.image_set import ImageSet

Value = TypeVar("Value")

PATIENCE = timedelta(days=7)
"""How long processes wait for one that works alone. Where one has died, torchrun ends the job."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of its job. local_world: how many of them there are on this machine."""

    rank: int = 0
    world: int = 1
    local_world: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """As torchrun says; one process alone without it."""
        if not dist.is_torchelastic_launched():
            return cls()
        rank, world, local_world = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        return cls(rank, world, local_world)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run's folder and its ledger."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Machines, each with the same number of processes."""
        return self.world // self.local_world

    def connect(self, device: torch.device) -> None:
        """Join the job's process group: NCCL on GPUs, gloo on CPUs. Lightning's Trainer then uses it too."""
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)

    def told(self, value: Value) -> Value:
        """The first process' value, on every one of them; each waits for it.

        What is exchanged travels as it is over the network between the job's machines, as clipped sums of gradients do:
        that network must be trusted. The run key is never sent.
        """
        if self.world == 1:
            return value
        values = [value if self.first else None]
        try:
            dist.broadcast_object_list(values, src=0)
        except RuntimeError as error:
            raise UserError(OTHERS) from error
        return cast(Value, values[0])

    def any(self, flag: bool) -> bool:
        """Whether any process says so; all get the same answer."""
        return any(self.all_told(flag))

    def all_told(self, value: Value) -> list[Value]:
        """The value of every process, in their order, on each of them."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:
            raise UserError(OTHERS) from error
        return values

    def gathered(self, value: Value) -> list[Value]:
        """The value of every process, in their order, on the first; nothing on the others."""
        if self.world == 1:
            return [value]
        values: list[Any] | None = [None] * self.world if self.first else None
        try:
            dist.gather_object(value, values, dst=0)
        except RuntimeError as error:
            raise UserError(OTHERS) from error
        return values or []

    def share(self, items: Sequence[Value]) -> list[tuple[int, Value]]:
        """This process' part of some pieces of work, each with its number."""
        return list(enumerate(items))[self.rank :: self.world]

    def summed(self, counts: np.ndarray) -> np.ndarray:
        """The sum of every process' array, element by element, on each of them."""
        return sum(self.all_told(counts), start=np.zeros_like(counts))

    def pooled(self, extract: Callable[[ImageSet], np.ndarray], images: ImageSet) -> np.ndarray:
        """What `extract` makes of each image, one row an image in their order; every process works on its part."""
        if self.world == 1:
            return extract(images)
        parts = self.all_told(extract(images.subset(np.arange(self.rank, len(images), self.world))))
        rows = np.empty((len(images), *parts[0].shape[1:]), parts[0].dtype)
        for rank, part in enumerate(parts):
            rows[rank :: self.world] = part
        return rows


OTHERS = "another process of the job has ended; its message says why"


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
    """Lightning's options for a fit on all processes of the job; a private fit needs its own strategy."""
    if ranks.world == 1:
        return {"devices": 1}
    strategy = PrivateStrategy() if private else "ddp"
    return {"devices": ranks.local_world, "num_nodes": ranks.nodes, "strategy": strategy}
