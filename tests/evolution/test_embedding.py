"""Features that decide which images are similar."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from configs.errors import UserError
from evolution.embedding import Embedding, pixels
from lightning_modules.by_image import BATCH


def images(count: int, side: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, side, side), dtype=np.uint8)


def tenth(batch: torch.Tensor) -> torch.Tensor:
    return pixels(batch) / 10


def test_every_kind_counts_alike() -> None:
    embedding = Embedding({"whole": pixels, "tenth": tenth})
    public = images(400)
    embedding.fit(public)
    features = embedding(public)
    half = features.shape[1] // 2
    spreads = [
        part.sub(part.mean(dim=0)).square().sum(dim=1).mean() for part in (features[:, :half], features[:, half:])
    ]
    assert spreads == pytest.approx([1, 1], rel=1e-4)
    flat = np.zeros((5, 1, 8, 8), dtype=np.uint8)
    embedding.fit(flat)
    assert torch.isfinite(embedding(flat)).all()


def test_features_of_an_image_do_not_hang_on_the_others() -> None:
    sizes = []

    def watched(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return pixels(batch)

    embedding = Embedding({"watched": watched})
    embedding.fit(images(10))
    every = embedding(images(BATCH + 50))
    assert torch.equal(embedding(images(BATCH + 50)[BATCH + 7 :]), every[BATCH + 7 :])
    assert set(sizes) == {BATCH}  # so that the arithmetic is always the same


def test_features_that_hang_on_the_place_in_a_batch_are_refused() -> None:
    def uneven(batch: torch.Tensor) -> torch.Tensor:
        features = pixels(batch)
        features[100:] = torch.nextafter(features[100:], torch.tensor(9.0))  # a last bit, from some row on
        return features

    with pytest.raises(UserError, match="the uneven features of an image change with its place in a batch"):
        Embedding({"even": pixels, "uneven": uneven}).fit(images(10))


@pytest.mark.parametrize(("side", "expected"), [(8, 64), (16, 256), (28, 196), (64, 256)])
def test_large_images_are_blurred_and_thinned_out(side: int, expected: int) -> None:
    assert pixels(torch.from_numpy(images(3, side))).shape == (3, expected)
    flat = pixels(torch.full((1, 3, side, side), 255, dtype=torch.uint8))
    assert torch.allclose(flat, torch.ones_like(flat))  # also at the edge
