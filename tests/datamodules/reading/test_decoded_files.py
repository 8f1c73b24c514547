"""Many files decoded at once give the same images as each file by itself."""

from __future__ import annotations

import contextlib
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.schema import Image
from datamodules.reading.class_folders import ClassFolders
from datamodules.reading.decoded_files import decode_files
from datamodules.reading.decoding import decode, silent_decoders
from tests.datamodules.class_images import write_classes

SHAPE = Image(11, 3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(write_classes(tmp_path_factory.mktemp("images"), {"a": 60}).glob("a/*"))


def test_the_order_is_that_of_the_paths(paths: list[Path]) -> None:
    shuffled = [paths[index] for index in np.random.default_rng(0).permutation(len(paths))]
    images, readable, _ = decode_files(shuffled, SHAPE, "reading", progress=False)
    assert readable.all()
    assert all(np.array_equal(image, decode(path, SHAPE)) for image, path in zip(images, shuffled, strict=True))


@pytest.mark.parametrize("most_unreadable", [None, 3])
def test_files_that_cannot_be_read_are_told(paths: list[Path], tmp_path: Path, most_unreadable: int | None) -> None:
    missing = [tmp_path / f"{number}.png" for number in range(8)]
    mixed = [path for pair in zip(paths, missing, strict=False) for path in pair]
    _, readable, _ = decode_files(mixed, SHAPE, "reading", progress=False, most_unreadable=most_unreadable)
    unreadable = {path for path, fine in zip(mixed, readable, strict=True) if not fine}
    assert unreadable <= set(missing) and len(unreadable) > (most_unreadable or 7)


def test_what_decoders_say_of_single_files_is_kept_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Sizes and damaged tags are facts about one record. For a file that is cut short, only that is said."""
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 300)
    folder = tmp_path / "a"
    folder.mkdir()
    Pillow.new("L", (20, 20)).save(folder / "large.png")
    Pillow.new("RGB", (9, 9)).save(folder / "tags.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    Pillow.new("RGB", (9, 9)).save(folder / "cut.tif", compression="tiff_lzw")
    (folder / "cut.tif").write_bytes((folder / "cut.tif").read_bytes()[:-60])
    palette = Pillow.new("P", (9, 9))
    palette.info["transparency"] = bytes(range(3))
    palette.save(folder / "palette.png", transparency=bytes(range(3)))
    paths = sorted(folder.iterdir())
    classes = ClassFolders(tmp_path, SHAPE, "root")
    with warnings.catch_warnings(record=True) as spoken:
        warnings.simplefilter("always")
        for path in paths:
            with contextlib.suppress(OSError):
                decode(path, SHAPE)
        loud = len(spoken)
        _, readable, _ = decode_files(paths, SHAPE, "reading", progress=False)
        _, again = classes.decoded(np.arange(len(paths)))
    assert loud >= 2 and len(spoken) == loud
    assert readable.tolist() == again.tolist() and not readable.all() and readable.any()
    logging.getLogger("PIL.Image").warning("afterwards as before")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "afterwards as before"
    ]
    assert "".join(capfd.readouterr()) == ""


def test_what_decoders_log_is_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    with silent_decoders():
        logging.getLogger("PIL.TiffImagePlugin").error("more samples per pixel than can be decoded: 7")
    assert not caplog.records
