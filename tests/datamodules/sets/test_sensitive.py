"""Sensitive images are handed on as they are, and exposed in few places, all of them known."""

from __future__ import annotations

import ast

import numpy as np

from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from tests.test_imports import PACKAGES, ROOT

EXPOSED = {
    "datamodules/batches/poisson.py": "DP-SGD's sampler",
    "semantics/query.py": "the semantic query",
    "launch/stages/evolution/evolve.py": "the votes",
    "launch/stages/evaluate.py": "scores in internal/",
    "launch/stages/scores/features.py": "scores in internal/",
    "launch/stages/scores/feature_map.py": "the report in internal/",
    "launch/stages/report.py": "the report in internal/",
    "launch/stages/synthesize.py": "a ceiling, without a guarantee",
    "launch/stages/finetune.py": "a ceiling, without a guarantee",
}


def exposing() -> set[str]:
    """The files of the project that expose sensitive images."""
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text()))
        if any(isinstance(node, ast.Attribute) and node.attr == "exposed" for node in nodes):
            found.add(str(path.relative_to(ROOT)))
    return found


def test_they_are_exposed_where_this_list_says_and_nowhere_else() -> None:
    assert exposing() == set(EXPOSED)


def test_they_are_no_ordinary_images_and_show_nothing() -> None:
    pixels = np.full((3, 1, 4, 4), 77, np.uint8)
    images = ImageSet(pixels, np.array([0, 1, 1]), ("a", "b"))
    sensitive = SensitiveImages(images)
    assert not isinstance(sensitive, ImageSet) and not hasattr(sensitive, "images") and not hasattr(sensitive, "labels")
    assert len(sensitive) == 3 and sensitive.class_names == ("a", "b") and sensitive.exposed() is images
    assert "77" not in repr(sensitive) and str(sensitive) == repr(sensitive)
