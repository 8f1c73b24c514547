"""Data sets as they are found on disks, and what would be misread."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.components.sources import FolderConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.layouts import recognise
from datamodules.sources import SOURCES
from tests.datamodules.stand_ins import write_idx_files


def fill(folder: Path, count: int, *, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """A sub-folder of small images for each name."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Pillow.new("L", (8, 8), number).save(folder / name / f"{number}.png")
    return folder


def flat(folder: Path, count: int, table: str = "metadata.csv") -> Path:
    """Images in one folder, with a table of their categories."""
    fill(folder, count, names=(".",))
    rows = [(f"{number}.png", "ab"[number % 2]) for number in range(count)]
    if table.endswith(".csv"):
        (folder / table).write_text("file_name,label\n" + "".join(f"{file},{label}\n" for file, label in rows))
    else:
        (folder / table).write_text("".join(json.dumps({"file_name": f, "label": x}) + "\n" for f, x in rows))
    return folder


def read(path: Path):
    """The source that a layout proposes, built."""
    found = recognise(path)
    return found, SOURCES.build(SOURCES.config(found.source)(**found.keys), Image(8, 1))


def test_a_sub_folder_per_category(tmp_path: Path) -> None:
    found, source = read(fill(tmp_path, 12))
    assert (found.source, found.class_names, found.records, found.tests) == ("folder", ("cat", "dog"), 24, None)
    assert found.first == tmp_path / "cat" / "0.png" and source.size() + len(source.test(progress=False)) == 24


@pytest.mark.parametrize(
    ("folders", "note"),
    [
        ({"train": 9, "test": 4}, None),
        ({"Train": 9, "Test": 4}, None),
        ({"train": 9, "valid": 4}, "'valid' is used for testing"),
        ({"train": 9, "val": 3, "test": 4}, "'val' is not used"),
    ],
)
def test_splits(folders: dict[str, int], note: str | None, tmp_path: Path) -> None:
    for name, count in folders.items():
        fill(tmp_path / name, count)
    found, source = read(tmp_path)
    assert (found.records, found.tests) == (18, 8) and source.class_names == ("cat", "dog")
    assert source.size() == 18 and len(source.test(progress=False)) == 8
    assert [note in text for text in found.notes] == ([True] if note else [])


def test_splits_without_images_for_testing(tmp_path: Path) -> None:
    found, _ = read(fill(tmp_path / "train", 9).parent)
    assert (found.records, found.tests) == (18, None)


@pytest.mark.parametrize("table", ["metadata.csv", "metadata.jsonl", "labels.csv"])
def test_a_table_next_to_the_images_or_to_their_folder(table: str, tmp_path: Path) -> None:
    found, source = read(flat(tmp_path / "one", 30, table))
    assert (found.source, found.class_names, found.records) == ("table", ("a", "b"), 30)
    assert source.class_names == ("a", "b") and not any("without a row" in note for note in found.notes)
    Pillow.new("L", (8, 8)).save(tmp_path / "one" / "more.png")
    assert any("without a row" in note for note in recognise(tmp_path / "one").notes)
    images = flat(tmp_path / "two" / "images", 30, table)
    (images / table).rename(images.parent / table)
    found, source = read(images.parent)
    assert found.keys["root"] == str(images) and 0 < source.size() < 30


def test_a_table_for_each_split_as_hugging_face_has_them(tmp_path: Path) -> None:
    flat(tmp_path / "train", 20)
    flat(tmp_path / "test", 7)
    found, source = read(tmp_path)
    assert (found.records, found.tests) == (20, 7)
    assert source.size() == 20 and len(source.test(progress=False)) == 7


def test_a_folder_around_it(tmp_path: Path) -> None:
    fill(tmp_path / "pets", 5)
    found, _ = read(tmp_path)
    assert found.keys["root"] == str(tmp_path / "pets") and "inside of 'pets'" in found.notes[0]


def test_idx_files_and_npz(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "mnist", train=12, test=5)
    found, source = read(tmp_path / "mnist")
    assert (found.source, found.records, found.tests) == ("mnist", 12, 5) and source.size() == 12
    arrays = {f"{split}_images": np.zeros((n, 8, 8), np.uint8) for split, n in (("train", 6), ("test", 3))}
    arrays |= {f"{split}_labels": np.arange(n)[:, None] % 3 for split, n in (("train", 6), ("test", 3))}
    np.savez(tmp_path / "x.npz", **arrays)
    found, source = read(tmp_path / "x.npz")
    assert (found.source, found.class_names, found.records, found.tests) == ("npz", ("0", "1", "2"), 6, 3)


def test_what_is_unknown_is_refused_with_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder or file"):
        recognise(tmp_path / "none")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match="no layout that is known"):
        recognise(tmp_path)
    fill(tmp_path, 3, names=(".",))
    with pytest.raises(UserError, match="no layout that is known"):
        recognise(tmp_path)


def test_a_layout_that_would_be_misread_is_refused_with_the_keys_that_read_it(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "train", 3)
    fill(tmp_path / "a" / "test", 2)
    fill(tmp_path / "b" / "pets", 3)
    splits = f"sensitive.root={tmp_path}/a/train sensitive.test_root={tmp_path}/a/test"
    for name, keys in [("a", splits), ("b", f"sensitive.root={tmp_path}/b/pets")]:
        with pytest.raises(UserError) as caught:
            SOURCES.build(FolderConfig(root=str(tmp_path / name)), Image(8, 1))
        assert keys in str(caught.value.under("sensitive"))


@pytest.mark.parametrize("names", [("train", "bus"), ("test", "training"), ("cat",), ("valid",)])
def test_categories_that_are_named_like_splits_are_categories(names: tuple[str, ...], tmp_path: Path) -> None:
    source = SOURCES.build(FolderConfig(root=str(fill(tmp_path, 4, names=names))), Image(8, 1))
    assert source.class_names == tuple(sorted(names))
