"""Optimisers of a generator, and the step of the network that learns from the trained one alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import lightning
import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lightning_modules.registries import Follower, Learner


def adams(model: Learner, learning_rate: float) -> list[Optimizer]:
    """Adam over what is trained of the network that images train and then, if there is one, over its follower."""
    trained = [parameter for parameter in model.trainable.parameters() if parameter.requires_grad]
    optimizers: list[Optimizer] = [Adam(trained, lr=learning_rate, betas=model.betas)]
    if (follower := model.follower) is not None:
        optimizers.append(Adam(follower.network.parameters(), lr=learning_rate * follower.pace, betas=model.betas))
    return optimizers


def optimizers_of(module: lightning.LightningModule) -> list[Any]:
    """A module's optimisers as a list, however many there are."""
    found = module.optimizers()
    return found if isinstance(found, list) else [found]


def follow(module: lightning.LightningModule, model: Learner, step: int, random: RandomGenerator) -> bool:
    """What follows step `step` of the trained network; returns whether the released network has moved.

    Every so many steps, the follower takes one: from the trained network's weights and from `random`, which must be the
    same on all processes. No batch comes here, so that in private training this is post-processing of noised weights.
    The same gradient is taken on every process, and their mean, since GPUs may round differently from call to call.
    """
    follower = model.follower
    if follower is None:
        return True
    if (step + 1) % follower.every:
        return False
    trained, own = optimizers_of(module)
    for group in own.param_groups:
        group["lr"] = follower.pace * trained.param_groups[0]["lr"]  # the schedule is that of the trained network
    parameters = list(follower.network.parameters())
    flat = cast(Tensor, module.trainer.strategy.reduce(follower_gradient(follower, random), reduce_op="mean"))
    pieces = flat.split([parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.grad = piece.view_as(parameter)
    own.step()
    own.zero_grad(set_to_none=True)
    return True


def follower_gradient(follower: Follower, random: RandomGenerator) -> Tensor:
    """The flat gradient [P] of a follower's mean loss; the trained network gets none."""
    with learning(follower.network):
        gradients = torch.autograd.grad(follower.losses(random).mean(), list(follower.network.parameters()))
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


@contextmanager
def learning(network: nn.Module) -> Iterator[None]:
    """A network in training mode, with gradients, inside the block; elsewhere no gradient reaches it."""
    was_training = network.training
    network.train().requires_grad_(True)
    try:
        yield
    finally:
        network.train(was_training).requires_grad_(False)
