"""`privimage export`: released images as files."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from torchvision.datasets import ImageFolder

from datamodules.sets.image_set import ImageSet
from launch.run import exporting
from launch.run.file_times import RELEASED_AT
from launch.run.release import read_images, write_images
from tests.launch.runs import privimage, times

pytestmark = pytest.mark.slow


def test_an_image_folder_holds_the_release(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "export"
    words = ["whole", str(folder), "--format", "imagefolder", "--root", str(finished.parent), "--json"]
    assert privimage("export", *words) == 0
    assert times(folder) == {RELEASED_AT * 10**9}
    report = {"folder": str(folder), "count": 60, "format": "imagefolder", "private": True}
    assert json.loads(capsys.readouterr().out) == report
    images = read_images(finished / "release" / "synthetic.npz")
    assert sorted(entry.name for entry in folder.iterdir()) == [*images.class_names, "PRIVACY.md", "README.md"]
    assert (folder / "PRIVACY.md").read_bytes() == (finished / "release" / "PRIVACY.md").read_bytes()
    for label, name in enumerate(images.class_names):
        pictures = [np.asarray(Pillow.open(file)) for file in sorted((folder / name).iterdir())]
        assert np.array_equal(pictures, images.of_class(label).images[:, 0])


def test_torchvision_loads_an_export_of_a_copied_release_in_one_line(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished / "release", tmp_path / "copy")
    assert privimage("export", str(copy), str(tmp_path / "images")) == 0
    loaded = ImageFolder(str(tmp_path / "images"))
    assert len(loaded) == 60 and loaded.classes == list("0123456789")
    assert "*/*.png" in (tmp_path / "images" / "README.md").read_text()


def test_a_category_without_images_has_no_folder(tmp_path: Path) -> None:
    """Otherwise ImageFolder refuses the whole."""
    exporting.write_image_folder(ImageSet(np.zeros((1, 1, 5, 4), np.uint8), np.array([1]), ("a", "b")), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


def test_parquet_without_pyarrow_is_one_message(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert privimage("export", str(finished), str(tmp_path / "export"), "--format", "parquet") == 2
    assert "pip install pyarrow" in capsys.readouterr().err and not (tmp_path / "export").exists()


def test_a_parquet_file_holds_pictures_and_named_labels(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 5, 4), dtype=np.uint8)
    exporting.write_parquet(ImageSet(pixels, np.array([0, 1, 1]), ("z", "a")), tmp_path)
    table = parquet.read_table(tmp_path / "train.parquet")
    assert table["label"].to_pylist() == [0, 1, 1]
    described = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert described["label"]["names"] == ["z", "a"]
    found = np.asarray(Pillow.open(io.BytesIO(table["image"][2].as_py()["bytes"])))
    assert np.array_equal(found, pixels[2].transpose(1, 2, 0))


def test_colours_stay_in_order(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 5, 4), dtype=np.uint8)
    images = ImageSet(pixels, np.array([0, 1, 1]), ("a/b", "c"))
    exporting.write_image_folder(images, tmp_path)
    assert np.array_equal(np.asarray(Pillow.open(tmp_path / "a_b" / "000000.png")), pixels[0].transpose(1, 2, 0))
    assert np.array_equal(np.asarray(Pillow.open(tmp_path / "c" / "000001.png")), pixels[2].transpose(1, 2, 0))


def test_another_file_of_the_run_may_be_exported(finished: Path, tmp_path: Path) -> None:
    images = ImageSet(np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 1]), ("a", "b"))
    write_images(tmp_path / "more.npz", images, None)
    words = [str(finished), str(tmp_path / "export"), "--images", str(tmp_path / "more.npz")]
    assert privimage("export", *words) == 0
    assert len(list((tmp_path / "export").rglob("*.png"))) == 2


@pytest.mark.parametrize("target", ["full", "file", "file/below"])
def test_nothing_is_written_over(
    finished: Path, tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    assert privimage("export", str(finished), str(tmp_path / target)) == 2
    output = capsys.readouterr()
    assert output.err.startswith("privimage: ") and output.err.count("\n") == 1
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "file").read_text() == "kept"


def test_a_truncated_file_is_one_message(
    finished: Path, copied: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied(finished)
    file = path / "release" / "synthetic.npz"
    file.write_bytes(file.read_bytes()[:300])
    assert privimage("export", str(path), str(tmp_path / "export")) == 2
    assert "cannot read the synthetic images" in capsys.readouterr().err
