"""The picture of synthetic and real images: equally many of each, and no picture if there is nothing to show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.loading import load
from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from launch.stages.scores import feature_map as module
from launch.stages.scores.feature_map import feature_map


def context(*words: str) -> Any:
    return SimpleNamespace(config=load("demo", words), class_names=("a", "b"))


def images(count: int, seed: int) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 1, 2, 2), dtype=np.uint8)
    return ImageSet(pixels, np.arange(count) % 2, ("a", "b"))


def flat(part: ImageSet) -> np.ndarray:
    return part.images.reshape(len(part), -1).astype(np.float64)


@pytest.mark.parametrize(("synthetic", "test", "each"), [(40, 20, 20), (20, 40, 20), (40, 40, 30)])
def test_equally_many_of_each(synthetic: int, test: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAPPED", 30)
    found = feature_map(context(), flat, images(synthetic, 0), SensitiveImages(images(test, 1)))
    assert found is not None and found.places.shape == (2 * each, 2)
    assert np.bincount(found.kinds).tolist() == [each, each]
    assert [np.bincount(found.labels[found.kinds == kind]).tolist() for kind in (0, 1)] == [[each // 2] * 2] * 2
    assert found.kind_names == ("synthetic", "real")


def test_no_picture() -> None:
    ours, real = images(10, 0), images(10, 1)
    assert feature_map(context("evaluate.tsne=false"), flat, ours, SensitiveImages(real)) is None
    assert feature_map(context(), None, ours, SensitiveImages(real)) is None
    assert feature_map(context(), lambda part: np.zeros((len(part), 3)), ours, SensitiveImages(real)) is None
