"""Call a function of images in batches of one size, so that the answer for an image depends only on that image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError

BATCH = 256  # images at once, always: the number of other images must not change the arithmetic of one
Function = Callable[[Tensor], Tensor]
"""Answers [B, …] for images uint8 [B, C, H, W]; the answer for an image depends only on that image."""


@torch.inference_mode()
def by_image(function: Function, images: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """The answer for each image.

    Args:
        function: called on `device` with BATCH images at a time; the last batch is filled up with black images, whose
            answers are dropped.
        images: uint8 [N, C, H, W], N may be 0.
        device: where the function runs.

    Returns:
        [N, …].

    Raises:
        ValueError: if the function does not give one answer per image.

    Sensitive: the answers are as sensitive as the images.
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
    """Refuse a function, or a device, for which an image's answer changes with its place in a batch.

    Leaving one record out would then move others to other places and could change their answers, so the sensitivity
    that is charged would be wrong. Every image, and the black one that fills batches up, is put in every place of a
    batch, next to different images, and every answer must be the same to the last bit. A dependence that shows with
    none of these images is not found. Call it before the charge, with the very function that `by_image` gets. Touches
    no sensitive data.

    Args:
        function: as for `by_image`.
        images: uint8 [N, C, H, W], a few that are public or made up.
        device: where the function runs.
        subject: what the message begins with, such as `key: the features`.
        instead: what else the user may choose, for the message.

    Returns:
        The answers [N + 1, …], with that for the black image last, so that other processes can compare theirs.

    Raises:
        UserError: if an answer changes.
    """
    tried = np.concatenate([images, np.zeros((1, *images.shape[1:]), dtype=np.uint8)])
    ahead = np.random.default_rng(0).integers(2, size=BATCH)  # two images per batch, in random places
    answers = by_image(function, tried, device)
    for turn in range(len(tried)):
        places = (turn + ahead) % len(tried)
        if not torch.equal(by_image(function, tried[places], device), answers[places]):
            raise UserError(
                f"{subject} of an image change with its place in a batch or with the images next to it, so one record "
                "could change the answers for others. Use another device (launch.accelerator), another number of "
                f"threads (launch.threads) or {instead}."
            )
    return answers


def made_up(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Made-up images, always the same: random blocks, in each image half as large as in the one before.

    Args:
        count: number of images.
        shape: (C, H, W) of an image.

    Returns:
        Uint8 [count, C, H, W].
    """
    rng = np.random.default_rng(0)
    channels, height, width = shape
    images = np.empty((count, *shape), dtype=np.uint8)
    for i in range(count):
        side = 2 ** (count - 1 - i)
        coarse = rng.integers(0, 256, (channels, -(-height // side), -(-width // side)), dtype=np.uint8)
        images[i] = coarse.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]
    return images
