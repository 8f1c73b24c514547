import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from configs.components.scorers import ResNetScorerConfig, ResNeXtScorerConfig, WideResNetScorerConfig
from configs.scoring import Training
from datamodules.sets.image_set import ImageSet
from evaluation.classifiers import SCORERS, split
from evaluation.scorer import accuracy

QUICK = Training(epochs=1, least_steps=50)
SMALL = [
    ResNetScorerConfig(depth=8, training=QUICK),
    WideResNetScorerConfig(depth=10, width=1, training=QUICK),
    ResNeXtScorerConfig(depth=11, groups=2, group_width=2, training=QUICK),
]


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet", 1.73), ("wrn", 8.95), ("resnext", 34.43)],  # as their papers say for CIFAR-10, 8.9 and 34.4 there
)
def test_default_sizes_are_the_published_ones(name, millions):
    with torch.device("meta"):
        network = SCORERS.build(SCORERS.config(name)()).network(3, 32, 10)
    assert round(sum(value.numel() for value in network.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.name)
@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (1, 28), (3, 17), (3, 64)])
def test_any_resolution(config, channels, resolution):
    network = SCORERS.build(config).network(channels, resolution, 7)
    logits = network(torch.randn(2, channels, resolution, resolution))
    assert logits.shape == (2, 7) and logits.isfinite().all()
    logits.sum().backward()
    assert all(value.grad is not None for value in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("config", SMALL[:2], ids=lambda config: config.name)
def test_real_digits_are_learnt(config):
    data = load_digits()
    images = np.round(data.images[:, None] * (255 / 16)).astype(np.uint8)
    digits = ImageSet(images, data.target.astype(np.int64), tuple(map(str, range(10))))
    order = np.random.default_rng(0).permutation(len(digits))
    train, test = digits.subset(order[:900]), digits.subset(order[900:1200])
    state = torch.get_rng_state()
    first, second = (SCORERS.build(config).fit(*split(train, 0.1, 0), 0, torch.device("cpu")) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(first(test.images), second(test.images))
    assert accuracy(first, test) > 0.9
