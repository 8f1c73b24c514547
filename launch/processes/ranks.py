"""The processes of a job: which one this is, how they exchange values, and how they divide work."""

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
"""How long processes wait for one that works by itself. If one has died, torchrun or srun ends the job."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of its job."""

    rank: int = 0
    """Number of this process, in 0..world-1."""
    world: int = 1
    """Number of processes in the job."""
    local_world: int = 1
    """Number of them on this machine."""

    @classmethod
    def here(cls) -> Ranks:
        """This process, according to torchrun or srun; the only one without them.

        Raises:
            UserError: if SLURM put different numbers of tasks on the machines.
        """
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
        """Number of machines. Each has the same number of processes."""
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
        """The first process' value, on every process. Each process waits for it.

        Values are sent unencrypted over the network between the job's machines, as clipped sums of gradients are: that
        network must be trusted. The run key is never sent.

        Args:
            value: picklable; ignored on every process but the first.

        Raises:
            Interrupted: if another process has ended after a signal that this one got too.
            UserError: if another process has ended without a signal.
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
        """The values of all processes in order of rank, on every process. Raises like `broadcast`."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:
            raise ended() from error
        return values

    def stop_if_asked(self) -> None:
        """Raise Interrupted in every process if any of them got a signal. All must call it at the same place."""
        received = [number for number in self.all_gather(interrupts.requested()) if number is not None]
        if received:
            raise interrupts.Interrupted(received[0])

    def share(self, items: Sequence[Value]) -> Iterator[tuple[int, Value]]:
        """This process' part of the items, each with its number among all. Raises Interrupted between two of them."""
        for first in range(0, len(items), self.world):
            self.stop_if_asked()
            if first + self.rank < len(items):
                yield first + self.rank, items[first + self.rank]

    def count(self, items: Sequence[Value]) -> int:
        """How many of the items are this process' part."""
        return len(range(self.rank, len(items), self.world))

    def all_reduce(self, counts: np.ndarray) -> np.ndarray:
        """The sum of the arrays of all processes, element by element, on every process."""
        return sum(self.all_gather(counts), start=np.zeros_like(counts))

    def pooled(self, extract: Callable[[ImageSet], np.ndarray], images: ImageSet) -> np.ndarray:
        """The rows that `extract` computes, on every process; each process computes its part of them.

        Args:
            extract: from N images to an array [N, ...].

        Returns:
            Array [N, ...], one row per image in their order.
        """
        if self.world == 1:
            return extract(images)
        parts = self.all_gather(extract(images.subset(np.arange(self.rank, len(images), self.world))))
        rows = np.empty((len(images), *parts[0].shape[1:]), parts[0].dtype)
        for rank, part in enumerate(parts):
            rows[rank :: self.world] = part
        return rows


def cluster_environment() -> ClusterEnvironment:
    """Lightning's description of who started this process. SLURM's plugin may not save inside its signal handler."""
    if environment.under_torchrun():
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False) if environment.under_srun() else LightningEnvironment()


def leave() -> None:
    """Leave the job's process group. If Python's shutdown ends it, its threads sometimes abort the process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def lost_another(error: RuntimeError) -> bool:
    """Whether an error from PyTorch says that another process is gone. Errors from gloo have no type of their own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def ended() -> Exception:
    """The exception to raise if another process is gone: Interrupted after a signal, otherwise UserError."""
    number = interrupts.requested()
    if number is not None:
        return interrupts.Interrupted(number)
    return UserError("another process of the job has ended; its message says why")
