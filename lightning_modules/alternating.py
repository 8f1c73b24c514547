"""Optimisers of a generator, and the step of its alternating generator: a network that is trained in turn with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import lightning
import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lightning_modules.registries import AlternatingGenerator, Learner


def adams(model: Learner, learning_rate: float) -> list[Optimizer]:
    """Adam for the network that is trained on images, then, if there is one, Adam for the alternating generator."""
    trained = [parameter for parameter in model.trainable.parameters() if parameter.requires_grad]
    optimizers: list[Optimizer] = [Adam(trained, lr=learning_rate, betas=model.betas)]
    if (alternating := model.alternating) is not None:
        optimizers.append(
            Adam(alternating.network.parameters(), lr=learning_rate * alternating.pace, betas=model.betas)
        )
    return optimizers


def optimizers_of(module: lightning.LightningModule) -> list[Any]:
    """A module's optimisers as a list, even if there is only one."""
    found = module.optimizers()
    return found if isinstance(found, list) else [found]


def alternate(module: lightning.LightningModule, model: Learner, step: int, random: RandomGenerator) -> bool:
    """Let the alternating generator take a step, if it is its turn after a step of the trained network.

    It learns from the trained network's weights and from `random`. No batch comes here, so in private training this is
    post-processing of noised weights. Every process computes the same gradient and uses the mean of all, because GPUs
    may round differently from call to call.

    Args:
        module: the module that is trained; it has the optimisers.
        model: the model, with the alternating generator if it has one.
        step: number of the trained network's step.
        random: source of all randomness, the same on all processes.

    Returns:
        Whether the released network has changed.
    """
    alternating = model.alternating
    if alternating is None:
        return True
    if (step + 1) % alternating.every:
        return False
    trained, own = optimizers_of(module)
    for group in own.param_groups:
        group["lr"] = alternating.pace * trained.param_groups[0]["lr"]  # it has the schedule of the trained network
    parameters = list(alternating.network.parameters())
    flat = cast(Tensor, module.trainer.strategy.reduce(alternating_gradient(alternating, random), reduce_op="mean"))
    pieces = flat.split([parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.grad = piece.view_as(parameter)
    own.step()
    own.zero_grad(set_to_none=True)
    return True


def alternating_gradient(alternating: AlternatingGenerator, random: RandomGenerator) -> Tensor:
    """The flat gradient [P] of the mean loss of an alternating generator; the trained network gets no gradient."""
    with learning(alternating.network):
        gradients = torch.autograd.grad(alternating.losses(random).mean(), list(alternating.network.parameters()))
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


@contextmanager
def learning(network: nn.Module) -> Iterator[None]:
    """A network in training mode, with gradients, inside the block; outside, no gradient reaches it."""
    was_training = network.training
    network.train().requires_grad_(True)
    try:
        yield
    finally:
        network.train(was_training).requires_grad_(False)
