"""The existence of a release does not reveal whether the only record of a category is in the sensitive set."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from launch.run.release import read_images
from tests.launch.runs import charges, draw_shapes, errors, finish, folder_words, statement

pytestmark = pytest.mark.slow

EMPTY = "ones without any"


def draw(path: Path, count: int = 40) -> None:
    """The images of a run: two categories, and a third without an image in either split."""
    for part, seed, each in (("train", 1, count), ("test", 2, 6)):
        draw_shapes(path.parent / "data" / part, seed=seed, count=each)
        (path.parent / "data" / part / EMPTY).mkdir()


@pytest.mark.parametrize("method", ["privimage_d", "sim_pe", "sim_pe_voted"])
def test_a_run_with_an_empty_category_is_a_run(tmp_path: Path, method: str) -> None:
    path = tmp_path / "mine"
    draw(path)
    code, text = finish(folder_words(path, f"method={method}", report=True), tmp_path / "output")
    assert code == 0 and errors(text) == [], text
    said = re.sub(r"; no image was labelled .*", "", text)  # which follows from the noisy votes
    assert EMPTY not in said[said.index("classifier") :]
    images = read_images(path / "release" / "synthetic.npz")
    assert images.class_names == ("bars", "discs", EMPTY) and len(images) == 60
    if method != "sim_pe_voted":  # whose labels follow from the noisy votes
        assert np.bincount(images.labels).tolist() == [20, 20, 20]
    assert statement(path)["records"] == 80
    assert json.loads((path / "internal" / "scores.json").read_text())["scores"][0]["accuracies"]["lr"] > 0
    assert EMPTY in (path / "internal" / "report.html").read_text()


@pytest.mark.parametrize("method", ["privimage_d", "sim_pe"])
def test_so_is_one_without_any_training_image(tmp_path: Path, method: str) -> None:
    """n is declared; a set with one record and an empty set are neighbours like any others."""
    path = tmp_path / "mine"
    draw(path, count=3)
    for file in (tmp_path / "data" / "train").rglob("*.png"):
        file.write_text("no image")
    declared = ["sensitive.count=80", "sensitive.corrupt=skip"]
    code, text = finish(folder_words(path, f"method={method}", *declared), tmp_path / "output")
    assert code == 0, text
    assert len(charges(path)) >= 1 and len(read_images(path / "release" / "synthetic.npz")) == 60
