"""A network that only runs for a while: in evaluation mode, and faster, in half precision, compiled, or both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from configs.errors import UserError


class Accelerated:
    """Stands in for a network's `forward`, x [B, …] and more tensors in, one tensor out in the precision of x.

    precision: fp32 leaves the network's own precision, bf16 is autocast of the network alone. compile_seconds: what the
    first call took, where it compiles; 0 otherwise. Raises UserError where the compiler fails.
    """

    def __init__(self, forward: Callable[..., Tensor], *, precision: str, compile: bool, stage: str) -> None:
        self.forward = forward
        self.stage = stage
        self.half = precision == "bf16"
        self.to_compile = compile
        self.compile_seconds = 0.0

    def __call__(self, x: Tensor, *others: Any) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.half):
            return (self.first(x, *others) if self.to_compile else self.forward(x, *others)).to(x.dtype)

    def first(self, *inputs: Any) -> Tensor:
        """The call that compiles, timed."""
        start = time.perf_counter()
        try:
            self.forward = torch.compile(self.forward, dynamic=False)  # loads the compiler, which takes seconds
            output = self.forward(*inputs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # compilers fail in many ways: none found, no Triton, a folder that is read-only
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = next((line for line in lines if not line.endswith(":")), type(error).__name__)
            raise UserError(
                f"{self.stage}.compile: the network could not be compiled: {reason.rstrip('.')}. Install a C++ "
                f"compiler (g++, or name yours in CXX; a GPU needs Triton as well), or do without: "
                f"{self.stage}.compile=false (`privimage synthesize` has --no-compile)."
            ) from error
        self.compile_seconds, self.to_compile = time.perf_counter() - start, False
        return output


@contextmanager
def accelerated(
    network: nn.Module, *, precision: str = "fp32", compile: bool = False, stage: str = "synthesize"
) -> Iterator[Accelerated]:
    """Let a network run in another precision, compiled, inside the block; its weights stay as they are.

    precision: fp32 or bf16. compile: for one batch shape; another shape compiles again. stage: the one that
    an error names. Nothing changes with fp32 and without compiling. Touches no data.
    """
    stand_in = Accelerated(network.forward, precision=precision, compile=compile, stage=stage)
    if precision == "fp32" and not compile:
        yield stand_in
        return
    network.forward = stand_in  # type: ignore[method-assign]  # shadows the class's own until it is deleted
    try:
        yield stand_in
    finally:
        del network.forward


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode inside the block: batch statistics are neither taken nor kept."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
