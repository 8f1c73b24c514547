"""A network in evaluation mode for a while, and faster: in half precision, compiled, or both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from configs.errors import UserError
from lightning_modules.precision import autocast_as


class Accelerated:
    """Replaces a network's `forward`: x [B, …] and more tensors in, one tensor in the precision of x out.

    Args:
        forward: the network's own `forward`.
        precision: fp32 keeps the network's own precision; bf16 uses autocast, only for this network.
        compile: whether the first call compiles.
        stage: the stage that an error names.

    Attributes:
        compile_seconds: seconds that the first call took, if it compiled; otherwise 0.

    Raises:
        UserError: by a call, if the compiler fails.
    """

    def __init__(self, forward: Callable[..., Tensor], *, precision: str, compile: bool, stage: str) -> None:
        self.forward = forward
        self.stage = stage
        self.precision = precision
        self.to_compile = compile
        self.compile_seconds = 0.0

    def __call__(self, x: Tensor, *others: Any) -> Tensor:
        with autocast_as(self.precision, x.device):
            return (self.first(x, *others) if self.to_compile else self.forward(x, *others)).to(x.dtype)

    def first(self, *inputs: Any) -> Tensor:
        """The first call, which compiles and is timed."""
        start = time.perf_counter()
        try:
            self.forward = torch.compile(self.forward, dynamic=False)  # loads the compiler, which takes seconds
            output = self.forward(*inputs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # compilers fail in many ways: not found, no Triton, a read-only folder
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = next((line for line in lines if not line.endswith(":")), type(error).__name__)
            raise UserError(
                f"{self.stage}.compile: the network could not be compiled: {reason.rstrip('.')}. Install a C++ "
                f"compiler (g++, or set CXX to yours; a GPU needs Triton as well), or switch it off: "
                f"{self.stage}.compile=false (`privimage synthesize` has --no-compile)."
            ) from error
        self.compile_seconds, self.to_compile = time.perf_counter() - start, False
        return output


@contextmanager
def accelerated(
    network: nn.Module, *, precision: str = "fp32", compile: bool = False, stage: str = "synthesize"
) -> Iterator[Accelerated]:
    """Let a network run in another precision, compiled, inside the block; its weights do not change.

    With fp32 and without compiling nothing changes. Touches no data.

    Args:
        network: the network.
        precision: fp32 or bf16.
        compile: compile for one batch shape; another shape compiles again.
        stage: the stage that an error names.
    """
    stand_in = Accelerated(network.forward, precision=precision, compile=compile, stage=stage)
    if precision == "fp32" and not compile:
        yield stand_in
        return
    network.forward = stand_in  # type: ignore[method-assign]  # hides the class's own until it is deleted
    try:
        yield stand_in
    finally:
        del network.forward


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """A network in evaluation mode inside the block: batch statistics are neither used nor updated."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
