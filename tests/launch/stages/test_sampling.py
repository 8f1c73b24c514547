"""Synthetic images are drawn in batches, in the requested number, and the speed is reported."""

from __future__ import annotations

import contextlib
import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from configs.loading import load
from launch.components import new_generator
from launch.stages import sampling
from launch.stages.sampling import Drawn, draw, label_plan
from lightning_modules.public_module import step_generator
from tests.launch.runs import TINY

pytestmark = pytest.mark.slow

NAMES = tuple("0123456789")


class Counting(nn.Module):
    """A generator whose i-th image of a run has the value i; it remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.released = nn.Linear(1, 1)
        self.shape = (1, 1, 1)
        self.sizes: list[int] = []

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        start = sum(self.sizes)
        self.sizes.append(len(labels))
        return torch.arange(start, start + len(labels)).to(torch.uint8)[:, None, None, None]


def images_of(model: object, count: int, batch_size: int, **settings: object) -> np.ndarray:
    progress = settings.pop("progress", lambda parts, count: parts)
    return draw(model, count, NAMES, seed=0, batch_size=batch_size, progress=progress, **settings).images.images


@given(st.integers(1, 500), st.integers(1, 40))
def test_labels_are_uniform_whatever_the_sensitive_set_holds(count: int, classes: int) -> None:
    counts = np.bincount(label_plan(count, classes).numpy(), minlength=classes)
    assert counts.sum() == count and counts.max() - counts.min() <= 1


def test_images_are_a_function_of_model_and_seed() -> None:
    config = load("demo", TINY)
    model = new_generator(config, 10)
    first, again, other = (
        draw(model, 25, NAMES, seed=seed, batch_size=10, progress=lambda parts, count: parts).images.images
        for seed in (1, 1, 2)
    )
    assert first.shape == (25, 1, 8, 8) and np.array_equal(first, again) and not np.array_equal(first, other)


def test_without_anything_asked_for_images_are_the_samplers_own() -> None:
    """The released images depend only on each batch's own random numbers, not on how they are drawn."""
    config = load("demo", TINY)
    model = new_generator(config, 10)
    parts = label_plan(25, 10).split(10)
    expected = [model.sample(part, step_generator(0, i, 0, torch.device("cpu"))) for i, part in enumerate(parts)]
    assert np.array_equal(images_of(model, 25, 10), torch.cat(expected).numpy())


@given(st.integers(2, 60), st.integers(1, 70), st.booleans())
def test_as_many_images_as_asked_for_in_order(count: int, batch_size: int, compiled: bool) -> None:
    """Compiled: all batches have one shape, and images drawn beyond the last one are dropped."""
    model = Counting()
    images = images_of(model, count, batch_size, compiled=compiled)
    assert images.ravel().tolist() == list(range(count))
    full, last = divmod(count, batch_size)
    if compiled:
        assert set(model.sizes) == {min(batch_size, count)} and len(model.sizes) == full + (last > 0)
    else:
        assert model.sizes == [batch_size] * full + [last] * (last > 0)


def test_half_precision_gives_other_images_that_are_close() -> None:
    config = load("demo", TINY)
    model = new_generator(config, 10)
    with torch.no_grad():
        for parameter in model.trainable.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    full, half = (images_of(model, 30, 10, precision=precision).astype(float) for precision in ("fp32", "bf16"))
    assert 0 < np.abs(full - half).mean() < 4
    assert "forward" not in vars(model.trainable)


def test_speed_is_that_of_sampling_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 5)
    monkeypatch.setattr(sampling.time, "perf_counter", lambda: next(clock))
    drawn = draw(Counting(), 30, NAMES, seed=0, batch_size=10, progress=lambda parts, count: parts)
    assert (drawn.seconds, drawn.images_per_second, drawn.speed) == (5, 6.0, "6 images/s")


@pytest.mark.parametrize(
    ("seconds", "compile_seconds", "words"),
    [(0.1, 0.0, "300 images/s"), (2.9, 0.0, "10 images/s"), (200, 0.0, "0.15 images/s"), (1, 41.7, "30 images/s")],
)
def test_speed_in_words(seconds: float, compile_seconds: float, words: str) -> None:
    images = draw(Counting(), 30, NAMES, seed=0, batch_size=30, progress=lambda parts, count: parts).images
    told = Drawn(images, len(images.images), seconds, compile_seconds).speed
    assert told == words + (" (compiled in 42 s)" if compile_seconds else "")


def test_the_run_s_console_tells_the_speed(finished: Path) -> None:
    text = finished.with_name("output").read_text()
    assert re.search(r"^  synthesize  60 images at [\d.]+ images/s in \S+/release, \d+ s$", text, flags=re.MULTILINE)


class Stopped(Exception):
    pass


@given(st.integers(1, 50), st.integers(1, 20), st.data())
def test_sampling_goes_on_where_it_was_stopped(count: int, batch_size: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Seeded()
        whole = images_of(model, count, batch_size)
        stop = data.draw(st.integers(0, -(-count // batch_size)))

        def stopped(parts: Iterable[Any], count: int) -> Iterator[Any]:
            for number, part in enumerate(parts):
                if number == stop:
                    raise Stopped
                yield part

        with contextlib.suppress(Stopped):
            images_of(model, count, batch_size, kept=Path(folder), progress=stopped)
        files = sorted(Path(folder).iterdir())
        if files:  # a damaged batch is drawn again
            files[0].write_bytes(files[0].read_bytes()[:-1])
        model.sizes.clear()
        assert np.array_equal(images_of(model, count, batch_size, kept=Path(folder)), whole)
        assert sum(model.sizes) == count - sum(min(batch_size, count - i * batch_size) for i in range(1, stop))


class Seeded(Counting):
    """A generator whose images depend on the batch's own random numbers."""

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        super().sample(labels, generator)
        return torch.randint(0, 256, (len(labels), 1, 1, 1), generator=generator, dtype=torch.uint8)
