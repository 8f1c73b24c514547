"""Many files decoded at once are what each is decoded to alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.schema import Image
from datamodules.decoded_files import decode_files
from datamodules.decoding import decode
from tests.datamodules.class_images import write_classes

SHAPE = Image(11, 3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(write_classes(tmp_path_factory.mktemp("images"), {"a": 60}).glob("a/*"))


def test_the_order_is_that_of_the_paths(paths: list[Path]) -> None:
    shuffled = [paths[index] for index in np.random.default_rng(0).permutation(len(paths))]
    images, readable = decode_files(shuffled, SHAPE, "reading", progress=False)
    assert readable.all()
    assert all(np.array_equal(image, decode(path, SHAPE)) for image, path in zip(images, shuffled, strict=True))


@pytest.mark.parametrize("bearable", [None, 3])
def test_files_that_cannot_be_read_are_told(paths: list[Path], tmp_path: Path, bearable: int | None) -> None:
    missing = [tmp_path / f"{number}.png" for number in range(8)]
    mixed = [path for pair in zip(paths, missing, strict=False) for path in pair]
    _, readable = decode_files(mixed, SHAPE, "reading", progress=False, bearable=bearable)
    unreadable = {path for path, fine in zip(mixed, readable, strict=True) if not fine}
    assert unreadable <= set(missing) and len(unreadable) > (bearable or 7)
