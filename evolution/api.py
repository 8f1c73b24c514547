"""What Private Evolution asks of a model or a simulator, and the check of what it answers."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from configs.components.apis import API_NAMES
from configs.errors import UserError
from configs.registry import Registry
from configs.schema import Image
from datamodules.sets.image_set import LabelledImages
from evolution.samples import Samples


class EvolutionApi(Protocol):
    """Makes images, and images like given ones. Never sees a sensitive image.

    Everything random comes from `rng`, so that a run can be repeated. Two attributes may say more: `needs_model`, that
    it needs the run's pre-trained model, and `needs_parameters`, that it varies only samples of its own making.
    """

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """`count` samples of a sensitive category, by its name."""
        ...

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """One sample like each of the given ones, in their order. degree: how far, from 0 (hardly) to 1 (most)."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What an API may want to know of the run; nothing in it is computed from sensitive images without noise.

    alike: for each sensitive category the public categories that the query found most like it, or that bear its name;
    none where neither is known. public: reads the public images. model: builds the pre-trained generator, and tells
    whether it has learnt the sensitive categories.
    """

    image: Image
    class_names: tuple[str, ...]
    alike: dict[str, tuple[str, ...]]
    public: Callable[[], LabelledImages]
    model: Callable[[], tuple[Any, bool]]


APIS: Registry[EvolutionApi] = Registry(API_NAMES)
"""APIs by name: `APIS.build(config, surroundings)`. One with `api_of_round(round)` gives the round to another.

Messages of a UserError while it is built begin with the key they are about; the caller knows the section.
"""


def by_round(config: Any, surroundings: Surroundings) -> Callable[[int], Checked]:
    """The API that a configuration describes, as every round sees it: checked."""
    api = APIS.build(config, surroundings)

    def at(round: int) -> Checked:
        with foreign(type(api).__name__):
            hand_over = getattr(api, "api_of_round", None)
            chosen = hand_over(round) if callable(hand_over) else api
            return Checked(chosen, getattr(chosen, "shown_as", type(chosen).__name__), surroundings.image)

    return at


@contextmanager
def contained() -> Iterator[None]:
    """A user's own code runs inside: what it changes of the process is put back.

    What it prints goes to the standard error stream, for the other one may be read by a program.
    """
    folder, precision, threads = os.getcwd(), torch.get_default_dtype(), torch.get_num_threads()
    device, exactness = torch.get_default_device(), torch.get_float32_matmul_precision()
    gradients = torch.is_grad_enabled()
    try:
        with redirect_stdout(sys.stderr), np.errstate(), warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        torch.set_default_dtype(precision)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_grad_enabled(gradients)
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(exactness)


@contextmanager
def foreign(call: str) -> Iterator[None]:
    """A user's own code runs inside, contained; its errors are theirs to mend."""
    try:
        with contained():
            yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever it is: SystemExit and asyncio's CancelledError are no Exception
        raise UserError(f"evolution.api: {call} failed: {type(error).__name__}: {said(error)}") from error


def said(error: BaseException) -> str:
    """The message of somebody else's error, which may fail to make one."""
    try:
        return str(error)
    except Exception:
        return "its message cannot be read"


class Checked:
    """An API whose answers are what they have to be; UserError that names it where they are not."""

    def __init__(self, api: EvolutionApi, name: str, image: Image) -> None:
        self.api = api
        self.name = name
        self.image = image

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """See `EvolutionApi.random`; nobody is asked for none."""
        if count == 0:
            return Samples.of_images(np.zeros((0, *self.image.shape), dtype=np.uint8))
        with foreign(f"{self.name}.random"):
            return self._good(self.api.random(category, count, rng), count, f"random({category!r}, {count})")

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """See `EvolutionApi.vary`; nobody is asked for none."""
        if len(samples) == 0:
            return samples
        own = Samples(samples.images.copy(), samples.parameters.copy())  # an API may work in place
        with foreign(f"{self.name}.vary"):
            answer = self.api.vary(own, degree, rng)
            return self._good(answer, len(samples), f"vary({len(samples)} samples, {degree:g})")

    def _good(self, answer: Any, count: int, call: str) -> Samples:
        if not isinstance(answer, Samples):
            raise UserError(f"evolution.api: {self.name}.{call} gave {type(answer).__name__}; give Samples.")
        wanted, got = (count, *self.image.shape), answer.images.shape
        if answer.images.dtype != np.uint8 or got != wanted:
            raise UserError(
                f"evolution.api: {self.name}.{call} gave images {answer.images.dtype} {list(got)}; "
                f"give uint8 {list(wanted)}: one [C, H, W] image a sample, in 0..255."
            )
        if answer.parameters.dtype != np.float64:
            raise UserError(
                f"evolution.api: {self.name}.{call} gave parameters {answer.parameters.dtype}; give float64 [N, P]."
            )
        if not np.isfinite(answer.parameters).all():
            raise UserError(
                f"evolution.api: {self.name}.{call} gave parameters that are infinite or no numbers (NaN); give finite "
                "ones."
            )
        return Samples(answer.images.copy(), answer.parameters.copy())  # an API may use its memory again
