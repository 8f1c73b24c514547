"""A function of images, asked in batches of one size, so that an image's answer depends on that image alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError

BATCH = 256  # images at once, always: the arithmetic of one image must not change with the number of the others
Function = Callable[[Tensor], Tensor]
"""Answers [B, …] of images uint8 [B, C, H, W]; that of an image depends on that image alone."""


@torch.inference_mode()
def by_image(function: Function, images: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """The answer for each image, as sensitive as the images.

    function: asked on `device`, for BATCH images at a time; the last batch is filled up with black images, whose
    answers are dropped. images: uint8 [N, C, H, W], N may be 0.

    Returns [N, …]. Raises ValueError where the function does not give one answer an image.
    """
    found = []
    for start in range(0, max(len(images), 1), BATCH):
        here = images[start : start + BATCH]
        batch = np.zeros((BATCH, *images.shape[1:]), dtype=np.uint8)
        batch[: len(here)] = here
        answers = function(torch.from_numpy(batch).to(device))
        if len(answers) != BATCH:
            raise ValueError(f"{len(answers)} answers for {BATCH} images")
        found.append(answers[: len(here)])
    return torch.cat(found)


def check_places(
    function: Function, images: np.ndarray, device: torch.device | str = "cpu", *, subject: str, instead: str
) -> Tensor:
    """Refuse a function, or a device, that lets an image's answer change with its place in a batch.

    Then leaving one record out would move others to other places, and could change what they say: the sensitivity that
    is charged for would be wrong. Every image, and the black one that fills batches up, is put in every place of a
    batch, next to different images, and every answer must be the same to the last bit. To be called before the
    charge, with the very function that `by_image` will be given.

    images: uint8 [N, C, H, W], a few that are public or made up. subject: what a message begins with, such as `key: the
    features`. instead: what else its reader may choose. Touches no sensitive data.

    Returns the answers [N + 1, …], that of the black image last, for other processes to compare theirs with. Raises
    UserError where they change. A dependence that none of these images shows is not found.
    """
    tried = np.concatenate([images, np.zeros((1, *images.shape[1:]), dtype=np.uint8)])
    ahead = np.random.default_rng(0).integers(2, size=BATCH)  # two images a batch, so that batches differ in theirs
    answers = by_image(function, tried, device)
    for turn in range(len(tried)):
        places = (turn + ahead) % len(tried)
        if not torch.equal(by_image(function, tried[places], device), answers[places]):
            raise UserError(
                f"{subject} of an image change with its place in a batch or with the images next to it, so that one "
                "record could change what others say. Use another device (launch.accelerator), another number of "
                f"threads (launch.threads) or {instead}."
            )
    return answers


def made_up(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Images of nothing, uint8 [count, C, H, W], always the same: random blocks, each half as large as those before."""
    rng = np.random.default_rng(0)
    channels, height, width = shape
    images = np.empty((count, *shape), dtype=np.uint8)
    for i in range(count):
        side = 2 ** (count - 1 - i)
        coarse = rng.integers(0, 256, (channels, -(-height // side), -(-width // side)), dtype=np.uint8)
        images[i] = coarse.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]
    return images
