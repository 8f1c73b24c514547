"""Images in one .npz file, as MedMNIST has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.components.sources import NpzConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.sources import SOURCES


def write(path: Path, shape: tuple[int, ...] = (28, 28), **arrays: np.ndarray) -> Path:
    """A file as MedMNIST writes it: 20 training, 5 validation and 8 test images, labels [N, 1]."""
    random = np.random.default_rng(0)
    found = {}
    for split, count in (("train", 20), ("val", 5), ("test", 8)):
        found[f"{split}_images"] = random.integers(0, 256, (count, *shape), dtype=np.uint8)
        found[f"{split}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    np.savez(path, **(found | arrays))
    return path


def build(path: Path, image: Image, **keys):
    return SOURCES.build(NpzConfig(file=str(path), **({"classes": ["normal", "pneumonia"]} | keys)), image)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_pixels_and_labels_are_those_of_the_file(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = write(tmp_path / "x.npz", shape)
    channels = 3 if len(shape) == 3 else 1
    source = build(path, Image(28, channels))
    arrays = np.load(path)
    for images, split in ((source.train(), "train"), (source.test(), "test")):
        kept = arrays[f"{split}_images"]
        np.testing.assert_array_equal(images.images, kept.transpose(0, 3, 1, 2) if channels == 3 else kept[:, None])
        np.testing.assert_array_equal(images.labels, arrays[f"{split}_labels"][:, 0])
    assert source.size() == 20 and source.class_names == ("normal", "pneumonia")
    assert build(path, Image(16, 1)).train().images.shape == (20, 1, 16, 16)


@pytest.mark.parametrize(
    ("arrays", "keys", "message"),
    [
        ({"train_labels": np.zeros((20, 3), np.uint8)}, {}, "several labels per image are not supported"),
        ({"train_labels": np.full((20, 1), 2)}, {}, r"classes: 2 are declared, but .* has other labels than 0 to 1"),
        ({"train_labels": np.zeros(7, int)}, {}, r"train_labels is int64 \(7,\)"),
        ({"train_images": np.zeros((20, 28, 28))}, {}, r"train_images is float64 \(20, 28, 28\)"),
        ({"train_images": np.array([{}, {}])}, {}, "cannot be read"),
        ({}, {"classes": []}, "classes: not given"),
    ],
)
def test_what_cannot_be_read_is_one_message(arrays: dict, keys: dict, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=message):
        build(path, Image(28, 1), **keys).train()


def test_a_file_that_is_no_archive_or_lacks_a_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train_images=np.zeros((1, 2, 2), np.uint8))
    (tmp_path / "b.npz").write_bytes(b"no archive")
    for name, message in [
        ("a", "has no array 'test_images'|no item named"),
        ("b", "cannot be read"),
        ("c", "there is no file"),
    ]:
        with pytest.raises(UserError, match=message):
            build(tmp_path / f"{name}.npz", Image(8, 1))
