import numpy as np
import pytest
import torch

from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from evaluation.inception import (
    FILE_NAME,
    HASH_PREFIX,
    checked_weights,
    class_probabilities,
    find_weights,
    inception_features,
    load_class_weights,
    load_inception,
)
from tests.evaluation.inception_files import images, random_inception_network


@pytest.mark.slow
def test_features_of_pytorch_fids_network(random_inception):
    hub = torch.hub.get_dir()
    network = load_inception(random_inception)
    assert torch.hub.get_dir() == hub
    gray = images(1)
    features = inception_features(network, gray, batch_size=2)
    assert features.shape == (3, 2048) and features.dtype == np.float64 and np.isfinite(features).all()
    colour = ImageSet(np.repeat(gray.images, 3, axis=1), gray.labels, gray.class_names)
    np.testing.assert_allclose(inception_features(network, colour), features, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_class_probabilities_are_the_whole_networks_without_its_bias(random_inception):
    features = inception_features(load_inception(random_inception), images(1))
    whole = random_inception_network()
    whole.load_state_dict(torch.load(random_inception, weights_only=True))
    torch.nn.init.zeros_(whole.fc.bias)
    with torch.inference_mode():
        pixels = torch.from_numpy(images(1).images).expand(-1, 3, -1, -1).float() / 127.5 - 1
        resized = torch.nn.functional.interpolate(pixels, size=(299, 299), mode="bilinear")
        expected = whole.eval()(resized).softmax(dim=1).numpy()
    found = class_probabilities(features, load_class_weights(random_inception))
    assert found.shape == (3, 1008) and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-6)


def test_other_weights_than_pytorch_fids_are_refused(random_inception, tmp_path):
    with pytest.raises(UserError, match=rf"evaluate\.inception_weights.*{HASH_PREFIX}"):
        find_weights(str(random_inception), download=False)
    with pytest.raises(UserError, match="no file at"):
        checked_weights(tmp_path / FILE_NAME)


def test_without_weights_there_is_a_reason_and_no_value():
    path, reason = find_weights(None, download=False)
    assert path is None
    assert "evaluate.inception_weights" in reason
