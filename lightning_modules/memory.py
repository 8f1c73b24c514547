"""Peak memory of a piece of work: what the GPU's allocator says, or what tensors hold on the CPU."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Follows the storages of tensors that are made inside the block, for as long as they live.

    now, peak: bytes that are held, and that were held at once at most. The same work gives the same figures, in any
    process and whatever else the machine does. What a kernel takes for itself while it runs is not seen.
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
            if storage._cdata not in given and storage._cdata not in self.alive:  # neither a view nor the input itself
                self.alive[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.forget, storage._cdata).atexit = False
        self.peak = max(self.peak, self.now)
        return result

    def forget(self, address: int) -> None:
        """Give back the bytes of a storage that is gone."""
        self.now -= self.alive.pop(address)


def tensors(tree: Any) -> list[Tensor]:
    """The tensors in nested arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def peak_memory(work: Callable[[], Any], device: torch.device) -> int | None:
    """Bytes that some work holds at its peak, beyond what was held before; None where a GPU has not that much.

    Deterministic on the CPU, see `LiveMemory`.
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
