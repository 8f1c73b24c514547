"""Sensitive images are handed on as they are, and exposed in few places, all of them known."""

from __future__ import annotations

import ast
from typing import get_type_hints

import numpy as np

from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from datamodules.sources.source import Declared
from launch.run.context import Context
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


UNTYPED = {
    "launch/components.py": "reads a source, and makes the sensitive images of it",
    "launch/preflight/shared_pixels.py": "counts copies, for the owner of the images",
}
"""Files that may read a source without the type."""


def using(name: str) -> set[str]:
    """The files of the project that use an attribute, a function or a variable of this name."""
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        text = path.read_text()
        nodes = ast.walk(ast.parse(text)) if name in text else ()
        if any(name in (getattr(node, "attr", None), getattr(node, "id", None)) for node in nodes):
            found.add(str(path.relative_to(ROOT)))
    return found


def test_they_are_exposed_where_these_lists_say_and_nowhere_else() -> None:
    assert using("exposed") == set(EXPOSED)
    assert using("images_of") == set(UNTYPED)
    assert using("_SensitiveImages__images") == set()


def test_of_their_source_a_stage_gets_what_is_declared_alone() -> None:
    """So that a type checker refuses `context.sensitive_source.train()`."""
    assert get_type_hints(Context.sensitive_source.fget)["return"] is Declared
    assert not {"train", "test", "paths", "folders"} & set(dir(Declared))
    assert not [file for file in using("sources") if file.startswith(("launch/stages/", "launch/tracking/"))]


def test_they_are_no_ordinary_images_and_show_nothing() -> None:
    pixels = np.full((3, 1, 4, 4), 77, np.uint8)
    images = ImageSet(pixels, np.array([0, 1, 1]), ("a", "b"))
    sensitive = SensitiveImages(images)
    assert not isinstance(sensitive, ImageSet) and not hasattr(sensitive, "images") and not hasattr(sensitive, "labels")
    assert len(sensitive) == 3 and sensitive.class_names == ("a", "b") and sensitive.exposed() is images
    assert "77" not in repr(sensitive) and str(sensitive) == repr(sensitive)
