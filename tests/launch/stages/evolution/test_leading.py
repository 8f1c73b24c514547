"""Pictures of the candidates with the most votes of a round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from launch.stages.evolution.leading import keep_leading, leading
from tests.evolution.shapes import Flat


def test_the_greatest_shares_come_first(tmp_path: Path) -> None:
    values = np.linspace(10, 250, 20)
    keep_leading(tmp_path, 0, [Flat.of(values), Flat.of(values[::-1].copy())], [values, values[::-1]], ("a", "b"))
    with Image.open(tmp_path / "round-000.png") as picture:
        row = np.asarray(picture.convert("L"))[24]  # through the first category
    shades = [shade for shade in row[np.insert(np.diff(row) != 0, 0, True)] if shade != 255]
    seen = [shade for shade in shades if shade in values.astype(np.uint8)]
    assert seen == sorted(values.astype(np.uint8).tolist(), reverse=True)[:8]


def test_rounds_in_their_order(tmp_path: Path) -> None:
    assert leading(tmp_path) == []
    for round in (0, 1, 11):
        keep_leading(tmp_path, round, [Flat.of(np.arange(3.0))], [np.ones(3)], ("a",))
    assert [caption for caption, _ in leading(tmp_path)] == ["Round 1", "Round 2", "Round 3"]
    assert all(uri.startswith("data:image/png;base64,") for _, uri in leading(tmp_path))
