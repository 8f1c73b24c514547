"""ImageNet as a source: from a store and from its folder the same images, split by file name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.components.sources import FolderConfig, ImageNetConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.listing import falls_to_testing, image_files
from datamodules.sources import SOURCES, Source
from tests.datamodules.class_images import SYNSETS, store_of, write_classes

SHAPE = Image(12, 3)
COUNTS = dict(zip(SYNSETS, (30, 25, 20, 15), strict=True))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like ImageNet's download, and a store of it next to it."""
    folder = tmp_path_factory.mktemp("imagenet")
    write_classes(folder / "train", COUNTS)
    (folder / "LOC_synset_mapping.txt").write_text("n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n")
    store_of(folder, folder / "a.beton", SHAPE)
    return folder


def build(source: Path, kind: str, fraction: float = 0.2) -> Source:
    where = {"store": str(source / "a.beton")} if kind == "store" else {"root": str(source)}
    return SOURCES.build(ImageNetConfig(**where, test_fraction=fraction), SHAPE)


@pytest.mark.parametrize("kind", ["store", "root"])
def test_the_split_goes_by_file_name_and_the_images_are_those_of_a_folder(source: Path, kind: str) -> None:
    built = build(source, kind)
    assert built.class_names == ("tench", "n01443537", "crane (n02012849)", "crane (n03126707)")
    train, test = built.train(), built.test()
    names = image_files(source / "train", "root", public=False)
    assert len(train) == built.size() == sum(not falls_to_testing(name, 0.2) for name in names)
    assert len(train) + len(test) == 90 and len(test)
    folder = SOURCES.build(FolderConfig(root=str(source / "train"), test_fraction=0.2), SHAPE)
    for images, expected in ((train, folder.train()), (test, folder.test())):
        assert np.array_equal(images.in_memory().images, expected.images)
        assert np.array_equal(images.labels, expected.labels)


def test_a_split_without_images_is_refused(source: Path) -> None:
    with pytest.raises(UserError, match="test_fraction: no image is left"):
        build(source, "store", 1e-9).test()


def test_images_are_public_by_declaration_alone(source: Path) -> None:
    """Any folder can be given: the program cannot know that it is ImageNet."""
    assert not build(source, "root").public_benchmark
    declared = ImageNetConfig(root=str(source), public_benchmark=True)
    assert SOURCES.build(declared, SHAPE).public_benchmark
