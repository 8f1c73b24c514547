"""The frozen small classifier that scores synthetic images."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from datamodules.sets.image_set import ImageSet
from evaluation.classifiers import SCORERS, classification_accuracy, split


def digits() -> ImageSet:
    data = load_digits()
    images = (data.images * 255 / 16).round().astype(np.uint8)[:, None]
    return ImageSet(images, data.target.astype(np.int64), tuple("0123456789"))


@pytest.mark.slow
def test_it_learns_digits() -> None:
    train, test = split(digits(), 0.25, seed=0)
    assert classification_accuracy(["lenet"], train, test, 0.1, seed=0)["lenet"] > 0.95


def test_its_size_is_frozen() -> None:
    network = SCORERS.build(SCORERS.config("lenet")()).network(1, 28, 10)
    assert sum(value.numel() for value in network.parameters()) == 215_418
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
