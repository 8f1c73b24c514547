"""The extra `ffcv` works here: images that are written uncompressed are read back unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


class RandomImages:
    """Colour images and labels by index, as FFCV's writer takes them."""

    def __init__(self, count: int, side: int) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        self.labels = rng.integers(0, 10, count)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])


@pytest.mark.slow
def test_raw_images_come_back_as_they_were(tmp_path: Path) -> None:
    pytest.importorskip("ffcv", reason="FFCV is not installed: see tests/install_ffcv.sh")
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.decoders import IntDecoder, SimpleRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.writer import DatasetWriter

    images = RandomImages(count=37, side=12)
    path = tmp_path / "images.beton"
    fields = {"image": RGBImageField(write_mode="raw"), "label": IntField()}
    DatasetWriter(str(path), fields, num_workers=1).from_indexed_dataset(images)

    loader = Loader(
        str(path),
        batch_size=10,
        num_workers=1,
        order=OrderOption.SEQUENTIAL,
        drop_last=False,
        pipelines={"image": [SimpleRGBImageDecoder()], "label": [IntDecoder()]},
    )
    batches = [(np.array(image), np.array(label)) for image, label in loader]

    assert np.array_equal(np.concatenate([image for image, _ in batches]), images.images)
    assert np.array_equal(np.concatenate([label for _, label in batches]).ravel(), images.labels)
