import numpy as np
import pytest
from sklearn.datasets import load_digits

from configs.components.sources import DigitsConfig
from configs.schema import Image
from datamodules.sources import SOURCES
from datamodules.sources.digits import fixed_order


def build(resolution: int = 8, channels: int = 1):
    return SOURCES.build(DigitsConfig(), Image(resolution, channels))


def test_the_splits_are_disjoint_and_complete():
    train, test = build().train(), build().test()
    assert build().size() == len(train) == 1437 and len(test) == 360
    joined = np.concatenate([train.images, test.images])[np.argsort(fixed_order())]
    reference = load_digits()
    assert np.abs(joined[:, 0] / 255 * 16 - reference.images).max() < 0.04
    assert np.array_equal(np.concatenate([train.labels, test.labels])[np.argsort(fixed_order())], reference.target)


def test_the_order_is_a_constant():
    order = fixed_order()
    assert sorted(order) == list(range(1797))
    assert order[:6].tolist() == [1457, 1074, 1038, 1402, 952, 1583]


def test_every_digit_is_in_both_splits():
    for images in (build().train(), build().test()):
        shares = np.bincount(images.labels, minlength=10) / len(images)
        assert shares.min() > 0.07 and shares.max() < 0.14


@pytest.mark.parametrize(("resolution", "channels"), [(8, 3), (16, 1), (32, 3)])
def test_the_shape_is_that_of_the_run(resolution, channels):
    assert build(resolution, channels).test().images.shape == (360, channels, resolution, resolution)
