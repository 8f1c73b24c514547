"""The file format, compared with FFCV itself in both directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.store.beton import PAGE, Beton, Layout, NotABeton
from datamodules.store.beton_writer import BetonWriter
from tests.datamodules.class_images import needs_ffcv

SHAPES = [(1, 8, 8), (3, 32, 32), (3, 65, 65)]


class Samples:
    """Random images with labels and hashes, as FFCV's writer takes them."""

    def __init__(self, count: int, shape: tuple[int, int, int], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        self.labels = rng.integers(0, 1000, count)
        self.hashes = rng.integers(-(2**63), 2**63 - 1, count)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int, int]:
        return self.images[index], int(self.labels[index]), int(self.hashes[index])


def written(path: Path, samples: Samples, capacity: int | None = None) -> Path:
    layout = Layout(samples.images.shape[1:], capacity or len(samples))
    with BetonWriter(path, layout, "a test") as writer:
        for first in range(0, len(samples), 100):
            images = samples.images[first : first + 100]
            writer.append(images, np.ones(len(images), dtype=bool))
        writer.finish(samples.labels, samples.hashes)
        writer.forget()
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_is_read_in_any_order(tmp_path: Path, shape) -> None:
    samples = Samples(2 * PAGE // int(np.prod(shape)) + 7 if shape[1] > 8 else 50, shape)
    beton = Beton(written(tmp_path / "a.beton", samples, capacity=len(samples) + 5))
    assert (len(beton), beton.shape) == (len(samples), shape)
    rows = np.random.default_rng(1).integers(0, len(samples), 300)
    assert np.array_equal(beton.read(rows), samples.images[rows])
    assert beton.read(rows[:0]).shape == (0, *shape)
    assert np.array_equal(beton.samples["label"], samples.labels)
    assert np.array_equal(beton.samples["name_hash"], samples.hashes)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_ffcv_reads_what_is_written(tmp_path: Path, shape) -> None:
    needs_ffcv()
    from ffcv.loader import Loader, OrderOption

    samples = Samples(2 * PAGE // int(np.prod(shape)) + 7 if shape[1] > 8 else 50, shape)
    path = written(tmp_path / "a.beton", samples)
    loader = Loader(str(path), batch_size=64, num_workers=1, order=OrderOption.SEQUENTIAL, drop_last=False)
    columns = [np.concatenate(parts) for parts in zip(*([v.numpy().copy() for v in b] for b in loader), strict=True)]
    for column, expected in zip(columns, (samples.images, samples.labels, samples.hashes), strict=True):
        assert np.array_equal(column.reshape(expected.shape), expected)


@pytest.mark.slow
def test_what_ffcv_writes_is_read(tmp_path: Path) -> None:
    needs_ffcv()
    from ffcv.fields import IntField, NDArrayField
    from ffcv.writer import DatasetWriter

    samples = Samples(3000, (3, 32, 32))
    path = tmp_path / "a.beton"
    fields = {"image": NDArrayField(np.dtype(np.uint8), (3, 32, 32)), "label": IntField(), "name_hash": IntField()}
    DatasetWriter(str(path), fields, num_workers=2).from_indexed_dataset(samples)
    beton = Beton(path)
    rows = np.random.default_rng(1).permutation(len(samples))
    assert np.array_equal(beton.read(rows), samples.images[rows])
    assert np.array_equal(beton.samples["label"], samples.labels)


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "a.beton", Samples(20, (1, 8, 8)))
    content = path.read_bytes()
    for changed in (
        b"",
        content[:10],
        content[:2000],
        b"\3" + content[1:],
        content.replace(b"name_hash", b"name_hush"),
    ):
        path.write_bytes(changed)
        with pytest.raises(NotABeton):
            Beton(path)
    path.write_bytes(content[:3200])
    with pytest.raises(NotABeton, match="cut short"):
        _ = Beton(path).samples
