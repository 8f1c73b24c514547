"""CIFAR-10: images and labels are those in torchvision's format, and a damaged file is named."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.components.sources import Cifar10Config
from configs.errors import UserError
from configs.schema import Image
from datamodules.sources import SOURCES, Source, cifar10
from datamodules.sources.cifar10 import TEST, TRAIN
from tests.datamodules.class_images import CIFAR
from tests.datamodules.stand_ins import write_cifar10

RECORDS = 12
REAL = Path(os.environ.get("PRIVIMAGE_CIFAR10", Path(__file__).parents[4] / "shared" / "data" / "cifar10"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "BATCH_RECORDS", RECORDS)


def build(root: Path, image: Image = Image(32, 3)) -> Source:  # noqa: B008 (a constant)
    return SOURCES.build(Cifar10Config(root=str(root)), image)


@pytest.mark.parametrize("below", ["", "cifar-10-batches-py"])
def test_both_splits_are_read_from_either_layout(tmp_path: Path, below: str) -> None:
    """The first 1024 bytes of a row are the red plane, row by row, then green and blue."""
    batches = write_cifar10(tmp_path / below, RECORDS)
    source = build(tmp_path)
    assert source.size() == 5 * RECORDS == len(source.train()) and source.public_benchmark
    for images, names in ((source.train(), TRAIN), (source.test(), TEST)):
        rows = [(data, label) for name in names for data, label in zip(*read(batches[name]), strict=True)]
        for number, (row, label) in enumerate(rows):
            picture = images.in_memory().images[number]
            assert [picture[colour, y, x] for colour in range(3) for y in (0, 31) for x in (0, 7)] == [
                row[1024 * colour + 32 * y + x] for colour in range(3) for y in (0, 31) for x in (0, 7)
            ]
            assert images.labels[number] == label


def read(batch: dict[str, Any]) -> tuple[Any, Any]:
    return batch["data"], batch["labels"]


@pytest.mark.parametrize(("resolution", "channels"), [(32, 1), (16, 3), (64, 3), (28, 1)])
def test_images_have_the_shape_of_the_run(tmp_path: Path, resolution: int, channels: int) -> None:
    batches = write_cifar10(tmp_path, RECORDS)
    images = build(tmp_path, Image(resolution, channels)).test().in_memory().images
    assert images.shape == (RECORDS, channels, resolution, resolution)
    for image, row in zip(images, read(batches["test_batch"])[0], strict=True):
        picture = Pillow.fromarray(row.reshape(3, 32, 32).transpose(1, 2, 0)).convert("L" if channels == 1 else "RGB")
        expected = np.asarray(picture.resize((resolution, resolution), Pillow.Resampling.BILINEAR))
        ours = image[0] if channels == 1 else image.transpose(1, 2, 0)
        assert np.abs(ours.astype(int) - expected).max() <= 1


def altered(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def rewrite(content: bytes) -> bytes:
        batch = pickle.loads(content)
        return pickle.dumps(change(batch) or batch)

    return rewrite


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"no pickle at all",
        altered(lambda batch: ["a list"]),
        altered(lambda batch: batch.pop("data") is None),
        altered(lambda batch: batch.pop("labels") is None),
        altered(lambda batch: batch.update(data=batch["data"][:-1])),
        altered(lambda batch: batch.update(labels=batch["labels"][:-1])),
        altered(lambda batch: batch.update(data=batch["data"][:, :-1])),
        altered(lambda batch: batch.update(data=batch["data"].astype(float))),
        altered(lambda batch: batch.update(labels=[10] * RECORDS)),
        altered(lambda batch: batch.update(labels=["cat"] * RECORDS)),
        altered(lambda batch: batch.update(data=batch["data"][:0], labels=[])),
    ],
)
def test_a_damaged_batch_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_cifar10(tmp_path, RECORDS)
    path = tmp_path / "data_batch_3"
    path.write_bytes(damage(path.read_bytes()))
    source = build(tmp_path)
    with pytest.raises(
        UserError, match=r"^root: '.*data_batch_3' cannot be read as a batch of CIFAR-10: .+Download"
    ) as e:
        source.train()
    assert "\n" not in str(e.value)
    assert len(source.test()) == RECORDS


def test_a_missing_batch_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path, RECORDS)
    (tmp_path / "test_batch").unlink()
    with pytest.raises(UserError, match=r"^root: no file 'test_batch' in '.*'\. Give .*CIFAR-10.*download=true"):
        build(tmp_path)


@pytest.mark.skipif(not (CIFAR / "train_10k.tar").is_file(), reason=f"no JPEGs of CIFAR-10 in {CIFAR}")
def test_real_photographs_are_read_as_the_source_folder_reads_them(tmp_path: Path) -> None:
    """As batches and as files with the same pixels: same images, same category names."""
    with tarfile.open(CIFAR / "train_10k.tar") as tar:
        members = [member for member in tar if member.isfile() and Path(member.name).stem[-4:] < "0006"]
        tar.extractall(tmp_path / "jpegs", members, filter="data")
    paths = sorted((tmp_path / "jpegs").glob("*/*.jpg"))
    assert len(paths) == 5 * RECORDS
    names = [path.parent.name for path in paths]
    for number, batch in enumerate(TRAIN):
        here = slice(number * RECORDS, (number + 1) * RECORDS)
        planes = [np.asarray(Pillow.open(path)).transpose(2, 0, 1).reshape(-1) for path in paths[here]]
        labels = [sorted(set(names)).index(name) for name in names[here]]
        (tmp_path / batch).write_bytes(pickle.dumps({"data": np.array(planes), "labels": labels}, protocol=2))
    (tmp_path / TEST[0]).touch()
    train = build(tmp_path).train().in_memory()
    folder = SOURCES.build(
        SOURCES.config("folder")(root=str(tmp_path / "jpegs"), test_root=str(tmp_path / "jpegs")), Image(32, 3)
    )
    expected = folder.train().in_memory()
    assert np.array_equal(train.images, expected.images)
    assert [train.class_names[label] for label in train.labels] == names


@pytest.mark.skipif(not REAL.is_dir(), reason="no CIFAR-10 files (set PRIVIMAGE_CIFAR10 to their folder)")
def test_the_real_cifar10(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    source = build(REAL)
    assert source.size() == 50_000
    test = source.test().in_memory()
    assert test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10


def test_the_real_size_is_known_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name in TRAIN + TEST:
        (tmp_path / name).write_text("never opened")
    assert build(tmp_path).size() == 50_000
