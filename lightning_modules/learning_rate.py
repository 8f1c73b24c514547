"""The learning-rate schedule of public training."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def one_cycle(optimizer: Optimizer, steps: int, warm_up: int) -> LambdaLR:
    """A linear rise to the optimiser's learning rate over `warm_up` steps, then half a cosine to zero at `steps`.

    To be advanced after every optimiser step. Its state is one count, so a resumed schedule continues exactly.
    """
    rise = max(1, min(warm_up, steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))) / 2

    return LambdaLR(optimizer, factor)
