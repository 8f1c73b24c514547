"""Images whose categories are in a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.components.sources import TableConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.files_error import FilesError
from datamodules.sources import SOURCES


def draw(folder: Path, count: int, first: int = 0) -> list[tuple[str, str]]:
    """Gray images whose level is their number, in turn of two categories."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Pillow.new("L", (9, 9), number).save(folder / f"{number}.png")
    return [(f"{number}.png", "cat" if number % 2 else "dog") for number in range(first, first + count)]


def write_csv(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("file_name", "label")) -> Path:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def build(root: Path, labels: Path, **keys):
    keys = {"classes": ["cat", "dog"]} | keys
    return SOURCES.build(TableConfig(root=str(root), labels_file=str(labels), **keys), Image(8, 1))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_every_row_is_an_image_with_its_category(kind: str, tmp_path: Path) -> None:
    rows = draw(tmp_path / "images", 60)
    table = tmp_path / f"labels.{kind}"
    if kind == "csv":
        write_csv(table, rows)
    else:
        table.write_text("\n".join(json.dumps({"file_name": file, "label": label, "x": 1}) for file, label in rows))
    source = build(tmp_path / "images", table, test_fraction=0.3)
    train, test = source.train(progress=False), source.test(progress=False)
    assert source.size() == len(train) and 0 < len(test) < 60
    levels = np.concatenate([train.images[:, 0, 0, 0], test.images[:, 0, 0, 0]])
    assert sorted(levels.tolist()) == list(range(60))
    for images in (train, test):
        assert images.labels.tolist() == [1 - level % 2 for level in images.images[:, 0, 0, 0].tolist()]
    assert [path.name for path in source.paths(test=True)] == [f"{n}.png" for n in test.images[:, 0, 0, 0]]


def test_a_new_row_moves_no_other_between_the_splits(tmp_path: Path) -> None:
    rows = draw(tmp_path, 50)
    before = set(build(tmp_path, write_csv(tmp_path / "a.csv", rows[1:]), test_fraction=0.3).paths(test=True))
    after = set(build(tmp_path, write_csv(tmp_path / "b.csv", rows), test_fraction=0.3).paths(test=True))
    assert after - {tmp_path / "0.png"} == before


def test_a_table_of_its_own_for_testing(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", draw(tmp_path / "a", 10))
    test = write_csv(tmp_path / "test.csv", draw(tmp_path / "b", 5, first=100))
    source = build(tmp_path / "a", train, test_root=str(tmp_path / "b"), test_labels_file=str(test))
    assert source.size() == 10
    assert sorted(source.test(progress=False).images[:, 0, 0, 0].tolist()) == [*range(100, 105)]


def test_other_columns(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", draw(tmp_path, 4), ("id", "dx"))
    assert build(tmp_path, table, file_column="id", label_column="dx", test_fraction=0.5).size() <= 4
    with pytest.raises(UserError, match=r"labels_file: .* no column 'file_name' \(it has id, dx\)"):
        build(tmp_path, table).size()


def test_a_category_that_is_not_declared_names_its_files_to_the_owner_alone(tmp_path: Path) -> None:
    source = build(tmp_path, write_csv(tmp_path / "t.csv", draw(tmp_path, 9)), classes=["cat"])
    with pytest.raises(FilesError) as caught:
        source.size()
    assert "'2.png'" in str(caught.value) and ".png" not in caught.value.unnamed("")
    assert "sensitive.classes" in caught.value.under("sensitive").unnamed("")


def test_unreadable_files_are_refused_or_skipped(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", draw(tmp_path, 20))
    (tmp_path / "3.png").write_bytes(b"no image")
    (tmp_path / "4.png").unlink()
    with pytest.raises(FilesError, match=r"cannot be read as images: '3\.png', '4\.png'"):
        build(tmp_path, table, test_fraction=1e-9).train(progress=False)
    with pytest.warns(UserWarning, match="unreadable files were skipped"):
        images = build(tmp_path, table, test_fraction=1e-9, corrupt="skip").train(progress=False)
    assert sorted(images.images[:, 0, 0, 0].tolist()) == [n for n in range(20) if n not in (3, 4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file_name,label\n1.png,\n", "line 2: there is no 'label'|no column 'label'"),
        ("file_name,label\n1.png,cat\n2.png,\n", "line 3: there is no 'label'"),
        ("file_name,label\n1.png,cat\n1.png,dog\n", "line 3: that file has a row already"),
    ],
)
def test_a_table_that_is_not_right_is_one_message(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        build(tmp_path, tmp_path / "t.csv").size()


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file_name,label\n\xff.png,cat\n")
    (tmp_path / "t.jsonl").write_text("[1]\n")
    for name in ("t.csv", "t.jsonl"):
        with pytest.raises(UserError, match=r"cannot be read: .* Save it as UTF-8 text"):
            build(tmp_path, tmp_path / name).size()


def test_what_must_be_given(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", draw(tmp_path, 4))
    for keys, message in [
        ({"classes": []}, "classes: not given"),
        ({"classes": ["cat", "cat"]}, "each name may be there once"),
        ({"labels_file": ""}, "labels_file: not given"),
        ({"labels_file": str(tmp_path / "none.csv")}, "there is no file"),
        ({"labels_file": str(tmp_path / "t.xlsx")}, r"neither a \.csv nor a \.jsonl"),
    ]:
        with pytest.raises(UserError, match=message):
            SOURCES.build(
                TableConfig(**({"root": str(tmp_path), "labels_file": str(table), "classes": ["cat", "dog"]} | keys)),
                Image(8, 1),
            ).size()
