"""What Private Evolution needs from a model or a simulator, and the check of what it returns."""

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
    """Makes images, and images similar to given ones. Never sees a sensitive image.

    Everything random comes from `rng`, so that a run can be repeated.

    Attributes:
        needs_model: optional; true if the API needs the run's pre-trained model.
        needs_parameters: optional; true if the API can vary only samples that it made itself.
    """

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """Samples of a sensitive category.

        Args:
            category: name of the category.
            count: number of samples, at least 1.
            rng: source of all randomness.
        """
        ...

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """One sample similar to each of the given ones, in their order.

        Args:
            samples: what to vary; not empty.
            degree: how far to vary, from 0 (hardly) to 1 (most).
            rng: source of all randomness.
        """
        ...


@dataclass(frozen=True)
class Surroundings:
    """What an API may want to know about the run. Nothing in it is computed from sensitive images without noise."""

    image: Image
    """Shape of the run's images."""
    class_names: tuple[str, ...]
    """Names of the sensitive categories."""
    alike: dict[str, tuple[str, ...]]
    """For each sensitive category, the public categories that the query found most similar, or else those with its
    name; empty if neither is known."""
    public: Callable[[], LabelledImages]
    """Reads the public images."""
    model: Callable[[], tuple[Any, bool]]
    """Builds the pre-trained generator, and says whether it has learnt the sensitive categories."""


APIS: Registry[EvolutionApi] = Registry(API_NAMES)
"""APIs by name: `APIS.build(config, surroundings)`. One with `api_of_round(round)` gives the round to another.

An API with a method `api_of_round(round)` leaves the round to the API that it returns. If building fails with a
UserError, its message begins with the key that it is about; the caller adds the section.
"""


def by_round(config: Any, surroundings: Surroundings) -> Callable[[int], Checked]:
    """The API that a configuration describes, as each round sees it: checked.

    Returns:
        A function from the number of a round, 0 for the first, to the API of that round.
    """
    api = APIS.build(config, surroundings)

    def at(round: int) -> Checked:
        with foreign(type(api).__name__):
            hand_over = getattr(api, "api_of_round", None)
            chosen = hand_over(round) if callable(hand_over) else api
            return Checked(chosen, getattr(chosen, "shown_as", type(chosen).__name__), surroundings.image)

    return at


@contextmanager
def contained() -> Iterator[None]:
    """Run a user's own code inside the block; what it changes in the process is undone afterwards.

    What it prints goes to standard error, because a program may read standard output.
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
    """Run a user's own code inside the block, contained; it is up to its author to fix its errors.

    Args:
        call: what runs, as the message names it.

    Raises:
        UserError: if the code fails; a UserError or KeyboardInterrupt of its own passes unchanged.
    """
    try:
        with contained():
            yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit and asyncio's CancelledError do not derive from Exception
        raise UserError(f"evolution.api: {call} failed: {type(error).__name__}: {said(error)}") from error


def said(error: BaseException) -> str:
    """The message of an error from a user's code; even reading the message may fail."""
    try:
        return str(error)
    except Exception:
        return "its message cannot be read"


class Checked:
    """An API whose results are checked.

    Args:
        api: the API to check.
        name: its name in messages.
        image: the shape that its images must have.

    Raises:
        UserError: by either method, if a result has the wrong type, shape or values.
    """

    def __init__(self, api: EvolutionApi, name: str, image: Image) -> None:
        self.api = api
        self.name = name
        self.image = image

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """See `EvolutionApi.random`; for count 0 the API is not called."""
        if count == 0:
            return Samples.of_images(np.zeros((0, *self.image.shape), dtype=np.uint8))
        with foreign(f"{self.name}.random"):
            return self._good(self.api.random(category, count, rng), count, f"random({category!r}, {count})")

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """See `EvolutionApi.vary`; if there are no samples, the API is not called."""
        if len(samples) == 0:
            return samples
        own = Samples(samples.images.copy(), samples.parameters.copy())  # an API may change it in place
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
                f"give uint8 {list(wanted)}: one image [C, H, W] per sample, in 0..255."
            )
        if answer.parameters.dtype != np.float64:
            raise UserError(
                f"evolution.api: {self.name}.{call} gave parameters {answer.parameters.dtype}; give float64 [N, P]."
            )
        if not np.isfinite(answer.parameters).all():
            raise UserError(
                f"evolution.api: {self.name}.{call} gave parameters that are infinite or NaN; give finite ones."
            )
        return Samples(answer.images.copy(), answer.parameters.copy())  # an API may reuse its memory
