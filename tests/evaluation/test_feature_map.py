import re
from xml.etree import ElementTree

import numpy as np
import pytest

from evaluation.feature_map import FeatureMap, embed, feature_map_svg


def test_groups_that_lie_apart_stay_apart_and_a_seed_repeats():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(centre, 0.1, size=(30, 6)) for centre in (0, 5)])
    state = np.random.get_state()[1].copy()
    places = embed(features, seed=3)
    assert (np.random.get_state()[1] == state).all()
    np.testing.assert_array_equal(places, embed(features, seed=3))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(60, np.inf))
    assert ((distances.argmin(axis=1) < 30) == (np.arange(60) < 30)).all()


@pytest.mark.parametrize("features", [np.zeros((10, 3)), np.ones((3, 2)) * [[1], [2], [3]]])
def test_nothing_to_see(features):
    assert embed(features, 0) is None


@pytest.mark.parametrize("dimensions", [1, 2])
def test_few_images_and_few_features(dimensions):
    features = np.random.default_rng(0).normal(size=(4, dimensions))
    assert np.isfinite(embed(features, 0)).all()


@pytest.mark.parametrize("categories", [2, 15, 40])
def test_the_drawing_stands_alone_and_marks_every_image(categories):
    names = ("a <b>", *(f"category {label}" for label in range(1, categories)))
    labels = np.arange(2 * categories) % categories
    places = np.random.default_rng(0).normal(size=(2 * categories, 2))
    shown = FeatureMap(places, np.repeat([0, 1], categories), labels, ("synthetic", "real"), names)
    drawing = feature_map_svg(shown)
    ElementTree.fromstring(drawing.replace("xlink:", ""))
    assert not re.search(r"https?:|#010203|<b>", drawing)
    for text in ("a &lt;b&gt;", "synthetic", "real"):
        assert f">{text}</text>" in drawing
    visible = min(categories, 20)
    assert len(re.findall("<use ", drawing)) == 2 * visible + visible + 2  # marks, and the legend's
