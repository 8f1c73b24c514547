"""Peak memory of a piece of work: according to the GPU's allocator, or what tensors hold on the CPU."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Follows the storages of tensors that are made inside the block, for as long as they exist.

    The same work gives the same figures in every process, regardless of what else the machine does. Memory that a
    kernel uses for itself while it runs is not counted.

    Attributes:
        now: bytes that are held.
        peak: largest number of bytes that were held at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.now = 0
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {tensor.untyped_storage()._cdata for tensor in tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for tensor in tensors(result):
            storage = tensor.untyped_storage()
            if storage._cdata not in given and storage._cdata not in self.alive:  # neither an input nor a view of it
                self.alive[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.forget, storage._cdata).atexit = False
        self.peak = max(self.peak, self.now)
        return result

    def forget(self, address: int) -> None:
        """Subtract the bytes of a storage that no longer exists."""
        self.now -= self.alive.pop(address)


def tensors(tree: Any) -> list[Tensor]:
    """The tensors in nested arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def peak_memory(work: Callable[[], Any], device: torch.device) -> int | None:
    """Bytes that some work holds at its peak, in addition to what was held before.

    Args:
        work: what to measure; its result is dropped.
        device: where it runs.

    Returns:
        Bytes; on the CPU the same in every run (see `LiveMemory`). None if a GPU does not have that much memory.
    """
    if device.type != "cuda":
        with LiveMemory() as memory:
            work()
        return memory.peak
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    try:
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    except torch.OutOfMemoryError:
        return None
    finally:
        torch.cuda.empty_cache()
