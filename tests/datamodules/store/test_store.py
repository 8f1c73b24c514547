"""What is refused as a store, and with which message."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from configs.errors import UserError
from configs.schema import Image
from datamodules.store.store import Store, side_file
from tests.datamodules.class_images import store_of, write_classes

SHAPE = Image(8, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    return store_of(write_classes(folder / "images", {"a": 20, "b": 10}), folder / "a.beton", SHAPE)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    shutil.copy(side_file(made), tmp_path)
    return Path(shutil.copy(made, tmp_path))


def test_a_missing_store_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^store: no file at '.*x\.beton'.*`privimage prepare imagenet .*--resolution 8"
    ):
        Store(tmp_path / "x.beton", SHAPE)


def test_a_store_without_its_side_file_is_not_finished(path: Path) -> None:
    side_file(path).unlink()
    with pytest.raises(UserError, match=r"^store: cannot read '.*a\.beton\.json': it is missing.*not finished"):
        Store(path, SHAPE)


@pytest.mark.parametrize("text", ["{", "{}", '{"format": 2}', '{"format": 1, "count": 3}', "[]"])
def test_a_damaged_side_file_is_named(path: Path, text: str) -> None:
    side_file(path).write_text(text)
    with pytest.raises(UserError, match=r"^store: .*a\.beton\.json'"):
        Store(path, SHAPE)


def test_a_side_file_that_says_nothing_of_links_is_one_of_an_earlier_version(path: Path) -> None:
    said = json.loads(side_file(path).read_text())
    assert said.pop("linked") == []
    side_file(path).write_text(json.dumps(said))
    assert Store(path, SHAPE).info.linked == ()


@pytest.mark.parametrize("size", [0, 100, 5000, -1])
def test_a_truncated_store_is_named(path: Path, size: int) -> None:
    os.truncate(path, size if size >= 0 else path.stat().st_size - 1)
    with pytest.raises(UserError, match=r"^store: '.*a\.beton' is damaged: it has \d+ bytes, its side file says \d+"):
        Store(path, SHAPE)


def test_a_side_file_of_another_store_is_noticed(path: Path) -> None:
    values = json.loads(side_file(path).read_text())
    side_file(path).write_text(json.dumps(values | {"count": 29}))
    with pytest.raises(UserError, match="its header and its side file disagree"):
        Store(path, SHAPE)
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    side_file(path).write_text(json.dumps(values))
    with pytest.raises(UserError, match="its beginning is not that of a store"):
        Store(path, SHAPE)


@pytest.mark.parametrize("image", [Image(16, 1), Image(8, 3)])
def test_another_shape_is_refused_with_both_named(path: Path, image: Image) -> None:
    with pytest.raises(UserError, match=rf"8x8 in 1 channel.*image\.resolution={image.resolution}.*--channels"):
        Store(path, image)
