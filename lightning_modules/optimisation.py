"""The learning-rate schedule and the weight average of public training."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn


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


def averaged_weights(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that follows it with a decay of min(decay, (1 + t) / (10 + t)) after t updates.

    The lower decay at the start keeps the initial weights out of the average of a short run. The count of updates is
    one of the copy's buffers, so a resumed average continues exactly.

    Args:
        network: the network to average.
        decay: in [0, 1).
    """

    def update(averages: PARAM_LIST, weights: PARAM_LIST, count: Tensor | int) -> None:
        updates = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + updates) / (10 + updates)))(averages, weights, count)

    averaged = AveragedModel(network, multi_avg_fn=update)
    return averaged.requires_grad_(False)
