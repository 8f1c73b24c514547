import numpy as np
import pytest
from PIL import Image as Pillow

from configs.schema import Image
from datamodules.reading.resizing import to_shape


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_the_right_size_are_left_alone(channels):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    shaped = to_shape(images, Image(8, channels))
    assert shaped.shape == (5, channels, 8, 8) and (shaped == images[:, None]).all()


@pytest.mark.parametrize(("before", "after"), [(28, 8), (8, 32), (28, 32)])
def test_resizing_agrees_with_pillow(before, after):
    images = np.random.default_rng(1).integers(0, 256, (3, before, before), dtype=np.uint8)
    shaped = to_shape(images, Image(after, 1))
    for image, other in zip(shaped, images, strict=True):
        reference = np.asarray(Pillow.fromarray(other).resize((after, after), Pillow.Resampling.BILINEAR))
        assert np.abs(image[0].astype(int) - reference).max() <= 1


def test_an_image_is_resized_alike_in_any_company():
    images = np.random.default_rng(2).integers(0, 256, (5000, 6, 6), dtype=np.uint8)
    assert np.array_equal(to_shape(images, Image(4, 1))[4321:4322], to_shape(images[4321:4322], Image(4, 1)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("after", [8, 20, 32])
def test_colours_are_shaped_as_pillow_does(channels, after):
    images = np.random.default_rng(3).integers(0, 256, (4, 3, 20, 20), dtype=np.uint8)
    shaped = to_shape(images, Image(after, channels))
    for image, other in zip(shaped, images, strict=True):
        picture = Pillow.fromarray(other.transpose(1, 2, 0)).convert("L" if channels == 1 else "RGB")
        reference = np.asarray(picture.resize((after, after), Pillow.Resampling.BILINEAR))
        ours = image[0] if channels == 1 else image.transpose(1, 2, 0)
        assert np.abs(ours.astype(int) - reference).max() <= (after != 20)
