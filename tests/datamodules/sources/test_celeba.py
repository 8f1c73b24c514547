"""CelebA: splits, categories and attributes as its lists say, faces cropped to their centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.components.sources import CelebaConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.sources import SOURCES, Source
from datamodules.sources.source import Described
from tests.datamodules.stand_ins import ATTRIBUTES, write_celeba


def build(root: Path, image: Image = Image(32, 3), **keys: object) -> Source:  # noqa: B008 (a constant)
    return SOURCES.build(CelebaConfig(root=str(root), **keys), image)  # type: ignore[arg-type]


@pytest.mark.parametrize("below", ["", "celeba"])
@pytest.mark.parametrize("attribute", ["Male", "Eyeglasses", "5_o_Clock_Shadow", None])
def test_splits_and_categories_are_those_of_the_lists(tmp_path: Path, below: str, attribute: str | None) -> None:
    splits, attributes = write_celeba(tmp_path / below, train=21, test=8)
    source = build(tmp_path, attribute=attribute)
    assert source.class_names == (("face",) if attribute is None else (f"not {attribute}", attribute))
    assert source.size() == 21 and source.public_benchmark
    assert source.folders == (tmp_path / below / "img_align_celeba",)
    for images, split in ((source.train(), "0"), (source.test(), "2")):
        names = [name for name, found in splits.items() if found == split]
        column = None if attribute is None else ATTRIBUTES.index(attribute)
        assert images.labels.tolist() == [0 if column is None else int(attributes[name][column]) for name in names]
        assert len(images) == len(names) and images.class_names == source.class_names


@pytest.mark.parametrize(("resolution", "channels"), [(32, 3), (64, 3), (64, 1)])
def test_faces_are_cropped_to_the_largest_central_square(tmp_path: Path, resolution: int, channels: int) -> None:
    """Against Pillow's own crop and resize; JPEG's decoder may halve a face on the way."""
    splits, _ = write_celeba(tmp_path, train=2, test=5)
    images = build(tmp_path, Image(resolution, channels)).test().in_memory().images
    names = [name for name, split in splits.items() if split == "2"]
    for image, name in zip(images, names, strict=True):
        face = Pillow.open(tmp_path / "img_align_celeba" / name).convert("L" if channels == 1 else "RGB")
        square = face.crop((0, 20, 178, 198)).resize((resolution, resolution), Pillow.Resampling.BILINEAR)
        ours = image[0] if channels == 1 else image.transpose(1, 2, 0)
        assert np.abs(ours.astype(int) - np.asarray(square)).mean() < 3


def test_its_semantics_are_the_attributes_of_the_training_faces(tmp_path: Path) -> None:
    splits, attributes = write_celeba(tmp_path, train=30, test=9)
    source = build(tmp_path)
    assert isinstance(source, Described)
    semantics = source.semantics()
    assert list(semantics.names) == ATTRIBUTES and len(ATTRIBUTES) == 40
    for number, count in enumerate(semantics.frequencies):
        assert count == sum(attributes[name][number] for name, split in splits.items() if split == "0")


def test_other_sources_know_no_more_than_categories() -> None:
    digits = SOURCES.build(SOURCES.config("digits")(), Image(8, 1))
    assert not isinstance(digits, Described)


@pytest.mark.parametrize("name", ["img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    write_celeba(tmp_path / "celeba", train=2, test=2)
    (tmp_path / "celeba" / name).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"^root: no file '{name}' in '.*celeba'\. Give .*CelebA.*download=true"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("attribute", "hint"), [("Smilling", r"Did you mean 'Smiling'\?"), ("XQ", "It has 5_o_Clock_Shadow, .*, Young\\.")]
)
def test_an_attribute_that_there_is_not(tmp_path: Path, attribute: str, hint: str) -> None:
    write_celeba(tmp_path, train=2, test=2)
    with pytest.raises(UserError, match=rf"^attribute: CelebA has no '{attribute}'\. {hint} With null, all faces"):
        build(tmp_path, attribute=attribute)


def test_faces_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    splits, _ = write_celeba(tmp_path, train=12, test=4)
    lost, cut = [name for name, split in splits.items() if split == "0"][3:5]
    (tmp_path / "img_align_celeba" / lost).unlink()
    face = tmp_path / "img_align_celeba" / cut
    face.write_bytes(face.read_bytes()[:700])
    source = build(tmp_path)
    with pytest.raises(UserError, match=rf"^root: faces that cannot be read in '.*': '{lost}', '{cut}'\. Download"):
        source.train()
    assert len(source.test()) == 4


def test_lists_that_do_not_belong_together(tmp_path: Path) -> None:
    splits, _ = write_celeba(tmp_path, train=12, test=4)
    path = tmp_path / "list_attr_celeba.txt"
    count, header, *lines = path.read_text().splitlines()
    first = next(name for name, split in splits.items() if split == "0")
    lines = [line for line in lines if not line.startswith(first)]
    path.write_text("\n".join([str(int(count) - 1), header, *lines]))
    with pytest.raises(UserError, match=rf"^root: '.*list_attr_celeba.txt' has no line for '{first}'"):
        build(tmp_path).train()
