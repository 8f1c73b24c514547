"""Where ImageNet's images are, and what its synsets are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import UserError
from datamodules.store.imagenet_layout import LAYOUTS, class_names, read_names
from tests.datamodules.class_images import SYNSETS

LIST = "n01440764 tench, Tinca tinca\nn01443537\tgoldfish, Carassius auratus\n\nn02012849 crane\nn03126707 crane\n"


@pytest.mark.parametrize("below", ["train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "."])
def test_training_images_are_found_in_every_layout(tmp_path: Path, below: str) -> None:
    for synset in SYNSETS:
        (tmp_path / below / synset).mkdir(parents=True)
    (tmp_path / "val").mkdir()
    root, names = LAYOUTS["imagenet"](tmp_path)
    assert root.resolve() == (tmp_path / below).resolve() and names == {}
    (tmp_path / "LOC_synset_mapping.txt").write_text(LIST)
    _, names = LAYOUTS["imagenet"](tmp_path)
    assert class_names(SYNSETS, names) == ("tench", "goldfish", "crane (n02012849)", "crane (n03126707)")
    assert LAYOUTS["folder"](tmp_path) == (tmp_path, {})


def test_categories_without_a_name_keep_their_folders(tmp_path: Path) -> None:
    assert class_names(["n01440764", "cat"], {"n01440764": "tench"}) == ("tench", "cat")


@pytest.mark.parametrize("content", [b"nothing of the kind\n", b"\xff\xfe\x00"])
def test_a_list_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"words\.txt'"):
        read_names(tmp_path / "words.txt")
