"""The map between pixels and network values."""

import pytest
import torch

from lightning_modules.pixels import to_network, to_pixels


def test_every_pixel_value_survives_the_round_trip() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    values = to_network(pixels)
    assert values.min() == -1 and values.max() == 1
    assert torch.equal(to_pixels(values), pixels)


def test_values_outside_the_range_are_clamped() -> None:
    assert to_pixels(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_images_that_are_scaled_already_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        to_network(torch.zeros(1, 1, 2, 2))
