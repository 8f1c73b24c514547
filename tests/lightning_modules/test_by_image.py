"""An image's answer depends only on that image, or it is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from configs.errors import UserError
from lightning_modules.by_image import BATCH, by_image, check_places, made_up

SHAPE = (1, 6, 6)
WEIGHTS = torch.randn(36, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def linear(batch: Tensor) -> Tensor:
    return (batch.flatten(1).double()[:, :, None] * WEIGHTS).sum(1)


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 2 * BATCH + 3), seed=st.integers(0, 99))
def test_answers_are_those_of_each_image_and_none_is_of_a_filler(count: int, seed: int) -> None:
    sizes = []

    def watched(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return linear(batch)

    given = images(count, seed)
    found = by_image(watched, given)
    assert found.shape == (count, 5)
    expected = given.reshape(count, 36).astype(float) @ WEIGHTS.numpy()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-6)
    assert set(sizes) == {BATCH}  # so that the arithmetic is always the same
    if count:
        gone = seed % count
        others = np.delete(given, gone, axis=0)
        assert torch.equal(by_image(linear, others), torch.cat([found[:gone], found[gone + 1 :]]))


def test_a_function_that_gives_fewer_answers_is_an_error() -> None:
    with pytest.raises(ValueError, match="255 answers for 256 images"):
        by_image(lambda batch: linear(batch)[1:], images(3))


def test_what_is_compared_is_what_will_be_asked() -> None:
    """The same function, batches of the same size, on the same device, in inference mode."""
    seen = []

    def watched(batch: Tensor) -> Tensor:
        seen.append((len(batch), batch.dtype, batch.device.type, torch.is_inference_mode_enabled()))
        return linear(batch)

    answers = check_places(watched, images(3), subject="key: the answers", instead="others")
    assert torch.equal(answers[:3], by_image(watched, images(3))) and torch.equal(answers[3], torch.zeros(5).double())
    assert set(seen) == {(BATCH, torch.uint8, "cpu", True)}


def test_every_image_and_the_filler_are_tried_in_every_place() -> None:
    given, seen = images(4), set()

    def watched(batch: Tensor) -> Tensor:
        seen.update((place, image.numpy().tobytes()) for place, image in enumerate(batch))
        return linear(batch)

    check_places(watched, given, subject="key: the answers", instead="others")
    wanted = [*given, np.zeros(SHAPE, np.uint8)]
    assert {(place, image.tobytes()) for place in range(BATCH) for image in wanted} <= seen


@settings(max_examples=25, deadline=None)
@given(place=st.integers(0, BATCH - 1))
def test_a_last_bit_at_one_place_is_found(place: int) -> None:
    def uneven(batch: Tensor) -> Tensor:
        answers = linear(batch) + 1
        answers[place] = torch.nextafter(answers[place], torch.tensor(9e9, dtype=torch.float64))
        return answers

    refused(uneven)


def refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UserError, match=r"^key: the answers of an image change .* or others"):
        check_places(function, images(3), subject="key: the answers", instead="others")


def only_black(batch: Tensor) -> Tensor:
    """Only the answer for a black image depends on its place."""
    black = batch.flatten(1).sum(1) == 0
    return linear(batch) + (black & (torch.arange(len(batch)) > 99))[:, None]


def beside_black(batch: Tensor) -> Tensor:
    return linear(batch) + (batch.flatten(1).sum(1) == 0).roll(-1)[:, None]


def unlike_a_neighbour(batch: Tensor) -> Tensor:
    """An image in the last places sees whether the one before it is another."""
    other = (batch != batch.roll(1, dims=0)).flatten(1).any(1)
    return linear(batch) + (other & (torch.arange(len(batch)) > 200))[:, None]


def mostly_black(batch: Tensor) -> Tensor:
    return linear(batch) + ((batch.flatten(1).sum(1) == 0).sum() > 200)


def normalised(batch: Tensor) -> Tensor:
    """BatchNorm in training mode."""
    torch.manual_seed(0)
    return nn.BatchNorm1d(36, dtype=torch.float64)(batch.flatten(1).double())


class Remembering:
    """Counts what it has been asked."""

    calls = 0

    def __call__(self, batch: Tensor) -> Tensor:
        self.calls += 1
        return linear(batch) + self.calls


def random(batch: Tensor) -> Tensor:
    return nn.functional.dropout(linear(batch), 0.1)


def greatest(batch: Tensor) -> Tensor:
    return linear(batch) - linear(batch).amax(0)


@pytest.mark.parametrize(
    "function",
    [only_black, beside_black, unlike_a_neighbour, mostly_black, normalised, Remembering(), random, greatest],
)
def test_answers_that_depend_on_anything_else_are_refused(function: Callable[[Tensor], Tensor]) -> None:
    refused(function)


@pytest.mark.parametrize("count", [1, 5])
def test_made_up_images_are_the_same_every_time_and_each_another(count: int) -> None:
    for shape in (SHAPE, (3, 32, 32)):
        found = made_up(count, shape)
        assert found.shape == (count, *shape) and found.dtype == np.uint8
        assert np.array_equal(found, made_up(count, shape))
        assert len(np.unique(found, axis=0)) == count and (found != 0).any(axis=(1, 2, 3)).all()
