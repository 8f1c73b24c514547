import dataclasses
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from configs.components.scorers import CNNConfig, LogisticRegressionConfig, MLPConfig
from configs.errors import UserError
from configs.scoring import LargeTraining, Training
from datamodules.sets.image_set import ImageSet
from evaluation.classifiers import SCORERS, classification_accuracy, scorer, split
from evaluation.cnn import CNNScorer, PlainCNN
from evaluation.scorer import accuracy

NAMES = ("lr", "mlp", "cnn")
SMALL = {  # quick to train where the accuracy does not matter
    "lr": LogisticRegressionConfig(iterations=20),
    "mlp": MLPConfig(hidden=32, epochs=5),
    "cnn": CNNConfig(width=4, training=Training(epochs=2, least_steps=10)),
}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    """Real digits: 900 to train on, 300 to test on."""
    data = load_digits()
    images = np.round(data.images[:, None] * (255 / 16)).astype(np.uint8)
    everything = ImageSet(images, data.target.astype(np.int64), tuple(map(str, range(10))))
    order = np.random.default_rng(0).permutation(len(everything))
    return everything.subset(order[:900]), everything.subset(order[900:1200])


def fitted(config, images, seed=0):
    return SCORERS.build(config).fit(*split(images, 0.1, seed), seed, CPU)


def test_all_are_registered():
    assert set(NAMES) <= set(SCORERS.names())


@pytest.mark.slow
@pytest.mark.parametrize("name, least", [("lr", 0.92), ("mlp", 0.92), ("cnn", 0.96)])
def test_real_digits_are_learnt(name, least, digits):
    train, test = digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = classification_accuracy([name], train, test, 0.1, 0)
    assert list(scores) == [name]
    assert scores[name] >= least


def test_test_set_has_no_part_in_the_fit(digits):
    train, test = digits
    train = train.subset(range(300))
    shuffled = ImageSet(test.images, np.random.default_rng(1).permutation(test.labels), test.class_names)
    predictor = fitted(MLPConfig(), train)
    assert classification_accuracy(["mlp"], train, test, 0.1, 0) == {"mlp": accuracy(predictor, test)}
    assert classification_accuracy(["mlp"], train, shuffled, 0.1, 0) == {"mlp": accuracy(predictor, shuffled)}


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_repeats_and_global_randomness_is_left_alone(name, digits):
    train, test = digits
    train = train.subset(range(200))
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    first, second = (fitted(SMALL[name], train)(test.images) for _ in range(2))
    assert (torch.rand(1), np.random.rand()) == expected
    np.testing.assert_array_equal(first, second)


def test_hold_out_is_a_part_of_the_synthetic_set(digits):
    train, _ = digits
    for fraction, held in [(0.1, 90), (0.25, 225), (1e-6, 1)]:
        fit, holdout = split(train, fraction, 3)
        assert (len(fit), len(holdout)) == (900 - held, held)
        both = np.concatenate([fit.images, holdout.images]).reshape(900, -1)
        np.testing.assert_array_equal(np.unique(both, axis=0), np.unique(train.images.reshape(900, -1), axis=0))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_hold_out_makes_the_choice(name, digits):
    """If every hold-out image has one category, the chosen fit is the one that predicts this category most often."""
    train, test = digits
    train = train.subset(range(200))
    scorer = SCORERS.build(SMALL[name])
    honest = scorer.fit(train, test, 0, CPU)(test.images)
    more = []
    for label in range(10):
        biased = ImageSet(test.images, np.full(len(test), label), test.class_names)
        more.append((scorer.fit(train, biased, 0, CPU)(test.images) == label).sum() - (honest == label).sum())
    assert min(more) >= 0
    assert max(more) > 0


def test_absent_categories_are_no_obstacle(digits):
    train, test = digits
    some = train.subset(np.flatnonzero(np.isin(train.labels, (2, 7))))
    for name in NAMES:
        predicted = fitted(SMALL[name], some)(test.images)
        assert set(np.unique(predicted)) <= {2, 7}


def test_sets_with_nothing_to_tell_apart(digits):
    train, test = digits
    assert classification_accuracy(NAMES, train.of_class(3), test, 0.1, 0) == {}
    pair = ImageSet(train.images[:2], np.array([0, 1]), train.class_names)
    with pytest.raises(UserError, match=r"synthesize\.count"):
        classification_accuracy(NAMES, pair, test, 0.1, 0)
    with pytest.raises(UserError, match="no score named 'densenet'"):
        classification_accuracy(["densenet"], train, test, 0.1, 0)


@pytest.mark.parametrize("resolution", [8, 17, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_cnn_takes_any_resolution(resolution, channels):
    network = PlainCNN(channels, resolution, classes=7, width=8)
    assert network(torch.zeros(2, channels, resolution, resolution)).shape == (2, 7)
    assert sum(value.numel() for value in network.parameters()) < 2_000_000


def test_the_training_of_a_large_network_is_given_by_its_name():
    given = LargeTraining(resnext=Training(images=50, epochs=1, precision="bf16"))
    assert scorer("resnext", given).training == given.resnext
    assert scorer("wrn", given).training == scorer("wrn").training == Training()
    assert scorer("lenet", given).training == scorer("lenet").training
    assert {field.name for field in dataclasses.fields(LargeTraining)} <= set(SCORERS.names())


def test_less_time_is_less_training_and_still_learns():
    data = load_digits()
    images = np.round(data.images[:, None] * (255 / 16)).astype(np.uint8)
    digits = ImageSet(images, data.target.astype(np.int64), tuple(map(str, range(10))))
    train, test = split(digits, 0.2, 0)
    seen: list[int] = []

    class Counting(CNNScorer):
        def network(self, channels, resolution, classes):
            network = super().network(channels, resolution, classes)
            network.register_forward_hook(lambda module, inputs, _: seen.append(len(inputs[0]) * module.training))
            return network

    training = Training(images=600, epochs=1, least_steps=1, batch_size=20, precision="bf16")
    predict = Counting(CNNConfig(training=training)).fit(train, test, 0, torch.device("cpu"))
    assert sum(seen) == 600
    assert accuracy(predict, test) > 0.8
