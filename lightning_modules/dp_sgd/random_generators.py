"""Torch generators for private steps, whose whole state comes from the keystream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

_WORDS = 624  # of the Mersenne Twister, 32 bits each
_HEADER = 24  # bytes of a CPU generator's state before its words: seed, position (int, int), position (long)
_LEFT = 8  # offset of the number of words left before the next twist


def keyed_generator(draw: Callable[[int], bytes], device: torch.device) -> torch.Generator:
    """A generator on `device` with every bit of its state from `draw`. Touches no sensitive data.

    `manual_seed` is not enough if draws must be secret: on the CPU it keeps 32 bits of its argument, which can be
    searched. The Mersenne Twister gets all 19 937 bits of its state; CUDA's Philox gets 64 bits of key and 60 bits of
    counter. Neither is a cipher, so the draws themselves must stay secret: they go into losses and nowhere else.

    Args:
        draw: from a number of bytes to that many bytes of a keystream.
        device: a CPU or CUDA device.
    """
    generator = torch.Generator(device)
    generator.set_state(_STATES[device.type](draw, generator.get_state()))
    return generator


def _mersenne_twister(draw: Callable[[int], bytes], state: torch.Tensor) -> torch.Tensor:
    values = state.numpy().copy()
    words = np.frombuffer(draw(4 * _WORDS), dtype="<u4").astype(np.uint64)
    values[_HEADER : _HEADER + 8 * _WORDS] = words.view(np.uint8)
    values[_LEFT : _LEFT + 4] = np.array([1], dtype=np.int32).view(np.uint8)  # twist before the first number
    return torch.from_numpy(values)


def _philox(draw: Callable[[int], bytes], state: torch.Tensor) -> torch.Tensor:
    key, counter = np.frombuffer(draw(16), dtype="<u8")
    counter = counter >> np.uint64(4) << np.uint64(2)  # a multiple of 4, with room to count up
    return torch.from_numpy(np.array([key, counter]).view(np.uint8).copy())


_STATES = {"cpu": _mersenne_twister, "cuda": _philox}
