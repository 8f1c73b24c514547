"""Fashion-MNIST, in one folder or in torchvision's folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from configs.components.sources import FashionMnistConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.sources import SOURCES, Source
from datamodules.sources.fashion_mnist import FashionMnist
from tests.datamodules.stand_ins import write_idx_files


def build(root: Path, **keys: object) -> Source:
    return SOURCES.build(FashionMnistConfig(root=str(root), **keys), Image(28, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_both_splits_are_read_from_either_layout(tmp_path: Path, below: str) -> None:
    arrays = write_idx_files(tmp_path / below, train=23, test=11)
    source = build(tmp_path)
    assert source.size() == 23 and source.public_benchmark
    for images, split in ((source.train(), "train"), (source.test(), "t10k")):
        assert np.array_equal(images.in_memory().images[:, 0], arrays[f"{split}-images-idx3-ubyte"])
        assert np.array_equal(images.labels, arrays[f"{split}-labels-idx1-ubyte"])


def test_categories_are_named_as_torchvision_names_them() -> None:
    assert list(FashionMnist.class_names) == datasets.FashionMNIST.classes


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^root: no folder at '.*nowhere'\. Give the folder that holds Fashion-MNIST"):
        build(tmp_path / "nowhere")
    write_idx_files(tmp_path, train=5, test=5)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"^root: '.*train-labels.*' cannot be read"):
        build(tmp_path).train()
    path.unlink()
    with pytest.raises(UserError, match=r"^root: no file 'train-labels-idx1-ubyte' in '.*download=true"):
        build(tmp_path)
