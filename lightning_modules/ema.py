"""The exponential moving average (EMA) of a network's weights, for public training and for DP-SGD."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn


def public_ema(network: nn.Module, decay: float) -> AveragedModel:
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


def private_ema(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network that follows it with a constant decay; its present weights are the first of the average.

    Fine-tuning starts from pre-trained weights, which belong in the average.

    Args:
        network: the network to average.
        decay: in [0, 1).
    """
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))
    averaged.n_averaged.fill_(1)
    return averaged.requires_grad_(False)
