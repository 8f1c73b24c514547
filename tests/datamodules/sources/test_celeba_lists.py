"""CelebA's lists, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from configs.errors import UserError
from datamodules.sources.celeba_lists import attribute_names, read_attributes, read_partition
from tests.datamodules.stand_ins import ATTRIBUTES, write_celeba


def test_what_is_written_is_read(tmp_path: Path) -> None:
    splits, attributes = write_celeba(tmp_path, train=9, test=4)
    numbers = {"train": "0", "valid": "1", "test": "2"}
    for split, names in read_partition(tmp_path / "list_eval_partition.txt").items():
        assert names == [name for name, found in splits.items() if found == numbers[split]]
    assert list(attribute_names(tmp_path / "list_attr_celeba.txt")) == ATTRIBUTES
    found = read_attributes(tmp_path / "list_attr_celeba.txt")
    assert list(found) == list(attributes)
    assert all((found[name] == attributes[name]).all() for name in found)


def replaced(number: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [text if here == number else line for here, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: lines[:-2], "its first line says '16', but 14 lines"),
        (lambda lines: [*lines[:-1], lines[-1][:60]], "line 18 is not a file's name and 40 times"),
        (replaced(4, "000003.jpg " + "2 " * 40), "line 5 is not"),
        (replaced(4, ""), "line 5 is not"),
        (replaced(0, "<html>"), "its first line says '<html>'"),
        (replaced(1, ""), "its second line does not list the attributes"),
        (lambda lines: lines[:1], "its second line does not list the attributes"),
        (lambda lines: [], "its second line does not list the attributes"),
    ],
)
def test_a_damaged_list_of_attributes_is_named(tmp_path: Path, damage: Callable, reason: str) -> None:
    write_celeba(tmp_path, train=9, test=4)
    path = tmp_path / "list_attr_celeba.txt"
    path.write_text("\n".join(damage(path.read_text().splitlines())))
    with pytest.raises(UserError, match=rf"^root: '.*list_attr_celeba\.txt' cannot be read: {reason}"):
        read_attributes(path)


@pytest.mark.parametrize("line", ["000003.jpg", "000003.jpg 3", "000003.jpg 0 0", ""])
def test_a_damaged_list_of_splits_is_named(tmp_path: Path, line: str) -> None:
    write_celeba(tmp_path, train=9, test=4)
    path = tmp_path / "list_eval_partition.txt"
    path.write_text("\n".join(replaced(2, line)(path.read_text().splitlines())))
    with pytest.raises(UserError, match=r"^root: '.*list_eval_partition\.txt' cannot be read: line 3 is not"):
        read_partition(path)


@pytest.mark.parametrize("read", [read_partition, read_attributes, attribute_names])
def test_bytes_that_are_no_text(tmp_path: Path, read: Callable) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\x1f\x8b\x08\xff\xfe" * 9)
    with pytest.raises(UserError, match=r"^root: '.*list\.txt' cannot be read"):
        read(path)
