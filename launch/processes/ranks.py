"""The processes of a job: which one this is, what they tell each other, and how they share out work."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from launch.processes import environment, interrupts

Value = TypeVar("Value")

PATIENCE = timedelta(days=7)
"""How long processes wait for one that works alone. Where one has died, torchrun or srun ends the job."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of its job. local_world: how many of them there are on this machine."""

    rank: int = 0
    world: int = 1
    local_world: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """As torchrun or srun says; one process alone without them. UserError for tasks spread unevenly by SLURM."""
        if not environment.one_of_several():
            return cls()
        cluster = cluster_environment()
        world = cluster.world_size()
        if environment.under_torchrun():
            return cls(cluster.global_rank(), world, int(os.environ["LOCAL_WORLD_SIZE"]))
        local_world, uneven = divmod(world, int(os.environ["SLURM_STEP_NUM_NODES"]))
        if uneven or os.environ.get("SLURM_NTASKS_PER_NODE", str(local_world)) != str(local_world):
            raise UserError(
                "SLURM has not put the same number of tasks on each machine. Start them with --ntasks-per-node, as "
                "`privimage submit` does."
            )
        return cls(cluster.global_rank(), world, local_world)

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
            cluster = cluster_environment()
            os.environ |= {"MASTER_ADDR": cluster.main_address, "MASTER_PORT": str(cluster.main_port)}
            backend = "nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE, rank=self.rank, world_size=self.world)
            atexit.register(leave)

    def broadcast(self, value: Value) -> Value:
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
            raise ended() from error
        return cast(Value, values[0])

    def all_gather(self, value: Value) -> list[Value]:
        """The value of every process, in their order, on each of them."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:
            raise ended() from error
        return values

    def stop_if_asked(self) -> None:
        """Raise Interrupted in every process where any of them got a signal; to be called by all at the same place."""
        received = [number for number in self.all_gather(interrupts.requested()) if number is not None]
        if received:
            raise interrupts.Interrupted(received[0])

    def share(self, items: Sequence[Value]) -> Iterator[tuple[int, Value]]:
        """This process' part of some pieces of work, each with its number. Raises Interrupted between two of them."""
        for first in range(0, len(items), self.world):
            self.stop_if_asked()
            if first + self.rank < len(items):
                yield first + self.rank, items[first + self.rank]

    def count(self, items: Sequence[Value]) -> int:
        """How many pieces of work are this process'."""
        return len(range(self.rank, len(items), self.world))

    def all_reduce(self, counts: np.ndarray) -> np.ndarray:
        """The sum of every process' array, element by element, on each of them."""
        return sum(self.all_gather(counts), start=np.zeros_like(counts))

    def pooled(self, extract: Callable[[ImageSet], np.ndarray], images: ImageSet) -> np.ndarray:
        """What `extract` makes of each image, one row an image in their order; every process works on its part."""
        if self.world == 1:
            return extract(images)
        parts = self.all_gather(extract(images.subset(np.arange(self.rank, len(images), self.world))))
        rows = np.empty((len(images), *parts[0].shape[1:]), parts[0].dtype)
        for rank, part in enumerate(parts):
            rows[rank :: self.world] = part
        return rows


def cluster_environment() -> ClusterEnvironment:
    """Lightning's view of who started this process. SLURM's plugin is kept from saving inside its signal handler."""
    if environment.under_torchrun():
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False) if environment.under_srun() else LightningEnvironment()


def leave() -> None:
    """Leave the job's process group. Left to Python's own end, its threads abort the process now and then."""
    if dist.is_initialized():
        dist.destroy_process_group()


def lost_another(error: RuntimeError) -> bool:
    """Whether an error of PyTorch's says that another process is gone; gloo's have no type of their own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def ended() -> Exception:
    """What to raise where another process is gone: after a signal it has stopped, and so does this one."""
    number = interrupts.requested()
    if number is not None:
        return interrupts.Interrupted(number)
    return UserError("another process of the job has ended; its message says why")
