import numpy as np
import pytest
import torch
import torchvision
from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2

from configs.errors import UserError
from datamodules.image_set import ImageSet
from evaluation.fid import (
    FILE_NAME,
    HASH_PREFIX,
    checked_weights,
    find_weights,
    inception_features,
    load_inception,
)


def images(channels, count=3, size=8):
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    return ImageSet(pixels, np.zeros(count, dtype=np.int64), ("a",))


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory):
    """A file in the form of pytorch-fid's, with random weights."""
    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    network.Mixed_5b, network.Mixed_5c = FIDInceptionA(192, pool_features=32), FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = FIDInceptionA(288, pool_features=64)
    for name, width in {"Mixed_6b": 128, "Mixed_6c": 160, "Mixed_6d": 160, "Mixed_6e": 192}.items():
        setattr(network, name, FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b, network.Mixed_7c = FIDInceptionE_1(1280), FIDInceptionE_2(2048)
    path = tmp_path_factory.mktemp("weights") / "any-name.pth"
    torch.save(network.state_dict(), path)
    return path


def test_features_of_pytorch_fids_network(random_inception):
    hub = torch.hub.get_dir()
    network = load_inception(random_inception)
    assert torch.hub.get_dir() == hub
    gray = images(1)
    features = inception_features(network, gray, batch_size=2)
    assert features.shape == (3, 2048) and features.dtype == np.float64 and np.isfinite(features).all()
    colour = ImageSet(np.repeat(gray.images, 3, axis=1), gray.labels, gray.class_names)
    np.testing.assert_allclose(inception_features(network, colour), features, rtol=1e-3, atol=1e-4)


def test_other_weights_than_pytorch_fids_are_refused(random_inception, tmp_path):
    with pytest.raises(UserError, match=rf"evaluate\.inception_weights.*{HASH_PREFIX}"):
        find_weights(str(random_inception), download=False)
    with pytest.raises(UserError, match="no file at"):
        checked_weights(tmp_path / FILE_NAME)


def test_without_weights_there_is_a_reason_and_no_value():
    path, reason = find_weights(None, download=False)
    assert path is None
    assert "evaluate.inception_weights" in reason
