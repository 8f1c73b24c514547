import re
from xml.etree import ElementTree

import numpy as np
import pytest

from datamodules.sets.image_set import ImageSet
from evaluation.figures import (
    Chart,
    Series,
    data_uri,
    enlargement,
    first_of_class,
    image_strip,
    line_chart,
    sample_grid,
    spread,
)


@pytest.mark.parametrize("width, factor", [(8, 6), (28, 2), (32, 2), (64, 1), (256, 1)])
def test_small_images_are_enlarged(width, factor):
    assert enlargement(width) == factor


@pytest.mark.parametrize("channels", [1, 3])
def test_strip_shows_each_pixel_as_a_block(channels):
    images = np.random.default_rng(0).integers(0, 256, (3, channels, 8, 8), dtype=np.uint8)
    strip = np.asarray(image_strip(images, gap=3))
    assert strip.shape == (48, 3 * 48 + 2 * 3, 4)
    for place, image in enumerate(images):
        shown = strip[:, place * 51 : place * 51 + 48, :3]
        expected = np.broadcast_to(image, (3, 8, 8)).transpose(1, 2, 0).repeat(6, 0).repeat(6, 1)
        np.testing.assert_array_equal(shown, expected)
    assert (strip[:, 48:51, 3] == 0).all()


def test_first_of_class_takes_them_in_order():
    images = ImageSet(
        np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) * np.ones((1, 1, 4, 4), np.uint8),
        np.array([0, 1, 1, 0, 1, 1]),
        ("a", "b", "c"),
    )
    assert first_of_class(images, 1, 3)[:, 0, 0, 0].tolist() == [1, 2, 4]
    assert first_of_class(images, 2, 3).shape == (0, 1, 4, 4)


def test_grid_has_room_for_every_row_and_for_none():
    images = ImageSet(np.full((4, 3, 8, 8), 7, np.uint8), np.array([0, 0, 0, 1]), ("a", "a long name", "absent"))
    grid = sample_grid(images, per_class=2)
    assert grid.height == 3 * 54 + 26
    assert (np.asarray(grid) == 7).all(axis=2).sum() == 3 * 48 * 48  # two of the first row and one of the second
    warned = np.asarray(sample_grid(images, per_class=2, title="NOT PRIVATE"))
    np.testing.assert_array_equal(warned[-grid.height + 16 :], np.asarray(grid)[16:])
    assert (warned[:28] != 255).any()


def test_picture_as_data_uri():
    assert data_uri(image_strip(np.zeros((1, 1, 8, 8), np.uint8))).startswith("data:image/png;base64,iVBOR")


def test_chart_is_an_element_that_stands_alone():
    series = [Series("first <b>", range(5), [1, 2, 3, 4, 5.0]), Series("second", [2], [1.0])]
    drawing = line_chart(Chart("Loss & co <i>", "Step", "Loss", series, log_y=True, limit=("target", 3.0)))
    ElementTree.fromstring(drawing.replace("xlink:", ""))
    assert not re.search(r"https?:|#010203|<b>|<i>", drawing)
    assert "currentColor" in drawing
    for text in ("Step", "Loss", "first &lt;b&gt;", "second", "target"):
        assert f">{text}</text>" in drawing


@pytest.mark.parametrize(("x", "fractions"), [([1, 2, 3], False), ([0.1, 0.35, 0.6], True)])
def test_an_axis_has_fractions_where_its_values_have(x, fractions):
    drawing = line_chart(Chart("Scores", "x", "y", [Series("cnn", x, [100.0, 200.0, 300.0])]))
    assert bool(re.search(r">\d+\.\d+</text>", drawing)) == fractions


def test_many_lines_are_named_at_their_ends_each_once_and_apart():
    rng = np.random.default_rng(0)
    series = [Series(f"method {i}", [1, 10], [0.1, float(rng.uniform(0.1, 0.2))]) for i in range(17)]
    drawing = line_chart(Chart("Many", "x", "y", series))
    heights = []
    for line in series:
        (text,) = re.findall(rf"<text[^>]*>{line.name}</text>", drawing)
        heights.append(float(re.search(r" y=\"([\d.]+)\"", text)[1]))
    apart = np.diff(np.sort(heights))
    assert apart.min() > 9  # points: text of 9 points does not overlap
    order = np.argsort([-line.y[-1] for line in series])
    assert (np.diff(np.array(heights)[order]) > 0).all()  # the best on top


def test_names_with_dollar_signs_are_no_formulas():
    drawing = line_chart(Chart("Cost", "$x_1$", "y", [Series("$", [1, 2], [1.0, 2.0]), Series("a$b^$", [1], [3.0])]))
    for name in ("$x_1$", "$", "a$b^$"):
        assert f">{name}</text>" in drawing


def test_the_longest_names_leave_half_of_the_picture_to_the_lines():
    series = [Series(f"{i}" * 300, [1, 10], [0.0, float(i)]) for i in range(8)]
    drawing = line_chart(Chart("Many", "x", "y", series), width=5.0)
    starts = [float(x) for x in re.findall(r'<text[^>]* x="([\d.]+)"[^>]*>\d{300}</text>', drawing)]
    assert len(starts) == 8 and min(starts) > 0.35 * 72 * 5.0


def test_places_are_spread_as_little_as_need_be():
    assert spread([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.5, 0.6])
    assert spread([0.95, 1.0, 0.95], 0.2) == pytest.approx([0.6, 1.0, 0.8])
