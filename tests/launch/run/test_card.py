"""The data card: what Hugging Face reads of it, and what people do."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from datamodules.sets.image_set import ImageSet
from launch.run.card import NPZ, card
from launch.run.exporting import FORMATS

STATEMENT: dict[str, Any] = {"epsilon": 0.99991, "delta": 1e-5, "records": 1437, "method": "privimage_d"}
NAMES = ("a: b", "10", "2", "`tick`\nline")


def images(channels: int = 3) -> ImageSet:
    return ImageSet(np.zeros((8, channels, 4, 6), np.uint8), np.arange(8, dtype=np.int64) % 4, NAMES)


def block(text: str) -> dict[str, Any]:
    """The metadata at the beginning of a card."""
    start, metadata, _ = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(metadata)


def test_the_metadata_is_that_of_an_image_classification_set() -> None:
    found = block(card(images(), STATEMENT, NPZ))
    assert found["task_categories"] == ["image-classification"] and found["size_categories"] == ["n<1K"]
    image, label = found["dataset_info"]["features"]
    assert image == {"name": "image", "dtype": "image"}
    assert list(label["dtype"]["class_label"]["names"].values()) == list(NAMES)
    assert "license" not in found and found["viewer"] is False and "configs" not in found


def test_the_guarantee_is_stated_and_rounded_to_the_safe_side() -> None:
    text = card(images(), STATEMENT, NPZ, model=True)
    assert "(ε = 1.0000, δ = 1e-05) differential privacy" in text and "1437 sensitive images" in text
    assert "The unit is one image" in text and "`privimage_d`" in text and "4 x 6 pixels, colour" in text
    assert "`'tick' line`" in text and "privimage synthesize release" in text
    assert "privimage synthesize" not in card(images(1), STATEMENT, NPZ)


def test_without_a_guarantee_nothing_is_claimed() -> None:
    notice = "NOT PRIVATE: for a test."
    for statement in ({"notice": notice}, {**STATEMENT, "notice": notice}):
        text = card(images(), statement, NPZ)
        assert notice in text and "differential-privacy" not in block(text)["tags"]
        assert block(text)["pretty_name"] == "Synthetic images, NOT PRIVATE" and "The unit is one image" not in text


def test_folders_name_their_labels_in_sorted_order_as_other_programs_do() -> None:
    def names(layout: str) -> list[str]:
        found = block(card(images(), STATEMENT, FORMATS[layout].layout))
        assert found["configs"][0]["data_files"][0]["split"] == "train"
        return list(found["dataset_info"]["features"][1]["dtype"]["class_label"]["names"].values())

    assert names("imagefolder") == sorted(NAMES) and names("parquet") == list(NAMES)
