import numpy as np
import pytest

from configs.components.sources import GlyphsConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.sources import SOURCES


def build(resolution: int = 8, channels: int = 1, **keys):
    return SOURCES.build(
        GlyphsConfig(**{"images_per_category": 3, "test_images_per_category": 2, **keys}), Image(resolution, channels)
    )


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (28, 3)])
def test_every_category_is_there_in_the_shape_of_the_run(resolution, channels):
    source = build(resolution, channels)
    images = source.train(progress=False)
    assert len(images) == source.size() == 3 * len(source.class_names) and len(source.class_names) >= 100
    assert images.images.shape[1:] == (channels, resolution, resolution)
    assert np.bincount(images.labels).tolist() == [3] * len(source.class_names)
    assert images.images.reshape(len(images), -1).max(axis=1).min() > 60  # none is blank


def test_the_digits_are_named_as_sensitive_digits_are():
    assert set(SOURCES.implementation("digits").class_names) <= set(build().class_names)


def test_the_images_hang_on_seed_category_and_index_alone():
    few, more = build().train(progress=False), build(images_per_category=5).train(progress=False)
    again, other = build().train(progress=False), build(seed=1).train(progress=False)
    assert np.array_equal(few.images, again.images)
    for label in range(len(few.class_names)):
        assert np.array_equal(few.of_class(label).images, more.of_class(label).images[:3])
    assert not np.array_equal(few.images, other.images)


def test_no_test_image_is_a_training_image():
    source = build(resolution=28)
    train, test = ({image.tobytes() for image in images.images} for images in (source.train(), source.test()))
    assert len(test) == 2 * len(source.class_names) and not train & test


def test_an_empty_range_is_refused():
    with pytest.raises(UserError, match="fill_smallest"):
        build(fill_smallest=1.2, fill_largest=0.9)
