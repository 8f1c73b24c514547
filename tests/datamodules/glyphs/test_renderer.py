import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.glyphs.alphabet import ALPHABET, FONTS, LATIN, LATIN_ONLY, fonts_of
from datamodules.glyphs.renderer import GlyphParameters, GlyphRanges, random_parameters, render

PLAIN = GlyphParameters("7", 0, 0.9, 0.0, 0.0, 1.0, 0, 0.0, 0.0, 0.0)
RANGES = GlyphRanges(smallest=0.7, largest=1.0, rotation=20.0, shear=0.3, stretch=1.5, stroke=3, blur=0.5, shift=0.1)


def ink_box(image: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((image > 100).any(1)), np.flatnonzero((image > 100).any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_the_alphabet_is_large_and_every_category_is_its_own():
    assert len(ALPHABET) >= 100
    assert len(set(ALPHABET)) == len(set(ALPHABET.values())) == len(ALPHABET)
    assert [name for name in ALPHABET if name.isdigit()] == list("0123456789")
    assert all(len(fonts_of(character)) >= 4 for character in ALPHABET.values())
    assert not any(FONTS[font] in LATIN_ONLY for font in fonts_of(ALPHABET["alpha"])) and "0" in LATIN


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [8, 28])
def test_no_character_is_blank_in_any_font(resolution):
    for character in ALPHABET.values():
        for font in fonts_of(character):
            image = render(dataclasses.replace(PLAIN, character=character, font=font), resolution)
            assert image.shape == (resolution, resolution) and image.dtype == np.uint8 and image.max() > 120


@settings(max_examples=60)
@given(
    character=st.sampled_from(list("047AMgΩ@")),
    font=st.integers(0, 15),
    size=st.floats(0.5, 1.0),
    rotation=st.floats(-45, 45),
    shear=st.floats(-0.5, 0.5),
    stretch=st.floats(0.6, 1.6),
)
def test_the_ink_has_the_wanted_size_in_the_middle_of_the_frame(character, font, size, rotation, shear, stretch):
    image = render(GlyphParameters(character, font, size, rotation, shear, stretch, 1, 0.0, 0.0, 0.0), 64)
    top, bottom, left, right = ink_box(image)
    assert abs(max(bottom - top, right - left) - 64 * size) <= 3
    assert abs((top + bottom) / 2 - 32) <= 2 and abs((left + right) / 2 - 32) <= 2


def test_each_parameter_does_what_it_says():
    plain = render(PLAIN, 64)
    top, bottom, left, right = ink_box(plain)

    def box(**changes):
        return ink_box(render(dataclasses.replace(PLAIN, **changes), 64))

    assert box(size=0.45)[1] - box(size=0.45)[0] == pytest.approx((bottom - top) / 2, abs=2)
    assert box(shift_x=0.1)[2] == pytest.approx(left + 6.4, abs=1)
    assert box(shift_y=-0.05)[0] == pytest.approx(top - 3.2, abs=1)
    assert box(stretch=0.5)[3] - box(stretch=0.5)[2] == pytest.approx((right - left) / 2, abs=2)
    quarter = render(dataclasses.replace(PLAIN, rotation=90.0), 64)
    assert np.abs(quarter.astype(int) - np.rot90(plain)).mean() < 4  # anticlockwise
    assert render(dataclasses.replace(PLAIN, stroke=3), 64).mean() > 1.1 * plain.mean()
    blurred = render(dataclasses.replace(PLAIN, blur=2.0), 64)
    assert np.abs(np.diff(blurred.astype(int), axis=1)).max() < 0.5 * np.abs(np.diff(plain.astype(int), axis=1)).max()
    # a positive shear leans to the right: the upright of a bar moves right above, left below
    bar = render(dataclasses.replace(PLAIN, character="|", shear=0.4, size=0.8), 64)
    columns = np.arange(64)
    assert (bar[10:20] * columns).sum() / bar[10:20].sum() > (bar[44:54] * columns).sum() / bar[44:54].sum() + 5


@given(count=st.integers(1, 40), seed=st.integers(0, 99), character=st.sampled_from(list(ALPHABET.values())))
def test_random_parameters_stay_in_range_and_do_not_hang_on_their_number(count, seed, character):
    glyphs = random_parameters(np.random.default_rng(seed), character, count, RANGES)
    assert glyphs == random_parameters(np.random.default_rng(seed), character, 40, RANGES)[:count]
    for glyph in glyphs:
        assert glyph.character == character and glyph.font in fonts_of(character)
        assert 0.7 <= glyph.size <= 1.0 and abs(glyph.rotation) <= 20 and abs(glyph.shear) <= 0.3
        assert 1 / 1.5 <= glyph.stretch <= 1.5 and glyph.stroke in (0, 1, 2, 3) and 0 <= glyph.blur <= 0.5
        assert abs(glyph.shift_x) <= 0.1 and abs(glyph.shift_y) <= 0.1


def test_a_bend_moves_the_ink_where_it_says_and_nothing_without_one():
    knots = 4
    plain = render(PLAIN, 64)
    assert np.array_equal(render(dataclasses.replace(PLAIN, bend=(0.0,) * 2 * knots**2), 64), plain)
    _, bottom, left, _ = ink_box(plain)
    aside = (0.1,) * knots**2 + (0.0,) * knots**2
    assert ink_box(render(dataclasses.replace(PLAIN, bend=aside), 64))[2] == pytest.approx(left + 6.4, abs=1)
    below = (0.0,) * knots**2 + (-0.04,) * knots**2
    assert ink_box(render(dataclasses.replace(PLAIN, bend=below), 64))[1] == pytest.approx(bottom - 2.6, abs=1)
    half = (*(0.1,) * (knots**2 // 2), *(0.0,) * (knots**2 // 2), *(0.0,) * knots**2)  # the upper rows alone
    bar = dataclasses.replace(PLAIN, character="|", size=0.9)
    columns = np.arange(64)
    middle = [
        (rows * columns).sum() / rows.sum() for rows in np.split(render(dataclasses.replace(bar, bend=half), 64), 2)
    ]
    assert middle[0] > middle[1] + 3


@given(count=st.integers(1, 30), seed=st.integers(0, 99))
def test_random_bends_have_their_strength_and_change_nothing_else(count, seed):
    bent = dataclasses.replace(RANGES, bend=0.05)
    glyphs = random_parameters(np.random.default_rng(seed), "7", count, bent)
    assert glyphs == random_parameters(np.random.default_rng(seed), "7", 30, bent)[:count]
    straight = random_parameters(np.random.default_rng(seed), "7", count, RANGES)
    assert [dataclasses.replace(glyph, bend=()) for glyph in glyphs] == straight
    many = random_parameters(np.random.default_rng(seed), "7", 300, bent)
    assert np.std([glyph.bend for glyph in many]) == pytest.approx(0.05, rel=0.05)
