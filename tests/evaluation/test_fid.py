import numpy as np
import pytest

from evaluation.fid import Normal, fid
from evaluation.frechet import frechet_distance


def test_it_is_the_frechet_distance():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(60, 5)), rng.normal(0.5, 2, size=(80, 5))
    found = fid(Normal.of(one), Normal.of(other))
    assert found.reason == ""
    assert found.value == pytest.approx(frechet_distance(one, other), rel=1e-6)


def test_a_set_and_itself():
    normal = Normal.of(np.random.default_rng(0).normal(size=(60, 5)))
    assert fid(normal, normal).value == pytest.approx(0, abs=1e-9)


def test_a_root_that_is_not_real_is_a_reason():
    """Not a covariance, but what rounding can make of one from far fewer images than features."""
    found = fid(Normal(np.zeros(2), np.diag([-1.0, 1.0])), Normal(np.zeros(2), np.eye(2)))
    assert found.value is None
    assert "too few images" in found.reason
