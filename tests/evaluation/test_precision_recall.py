import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import precision_recall as module
from evaluation.precision_recall import Manifold, precision_recall


def by_definition(generated, real, neighbours):
    """Equations 1 and 2, pair by pair."""

    def covers(points, point):
        for i, other in enumerate(points):
            ways = sorted(np.linalg.norm(other - third) for j, third in enumerate(points) if j != i)
            if np.linalg.norm(point - other) <= ways[neighbours - 1]:
                return True
        return False

    precision = np.mean([covers(real, point) for point in generated])
    return precision, np.mean([covers(generated, point) for point in real])


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(4, 12), st.integers(4, 12), st.sampled_from([1, 1000]))
def test_equals_the_definition(seed, neighbours, count, other_count, scale):
    rng = np.random.default_rng(seed)
    generated, real = scale * rng.normal(size=(count, 2)), scale * rng.normal(0.7, 1, size=(other_count, 2))
    assert precision_recall(generated, real, neighbours) == by_definition(generated, real, neighbours)


@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_set_and_itself_even_with_doubles(seed, neighbours):
    rng = np.random.default_rng(seed)
    points = 100 + rng.integers(0, 3, (20, 4)) * rng.choice([1e-3, 1, 1e3])  # many points are the same
    assert precision_recall(points, rng.permutation(points), neighbours) == (1, 1)


def test_far_sets_share_nothing():
    rng = np.random.default_rng(0)
    assert precision_recall(rng.normal(size=(50, 8)), 100 + rng.normal(size=(60, 8)), 3) == (0, 0)


def test_a_mode_that_is_missing_costs_recall_alone():
    rng = np.random.default_rng(1)
    modes = [rng.normal(centre, 1, size=(100, 4)) for centre in (-50, 50)]
    assert precision_recall(modes[0], np.concatenate(modes), 3) == (1, 0.5)


def test_a_mode_that_is_made_up_costs_precision_alone():
    rng = np.random.default_rng(1)
    modes = [rng.normal(centre, 1, size=(100, 4)) for centre in (-50, 50)]
    assert precision_recall(np.concatenate(modes), modes[0], 3) == (0.5, 1)


def test_pieces_make_no_difference(monkeypatch):
    rng = np.random.default_rng(2)
    generated, real = rng.normal(size=(70, 5)).astype(np.float32), rng.normal(0.5, 1, size=(90, 5)).astype(np.float32)
    whole = precision_recall(generated, real, 3)
    assert min(whole) > 0 and max(whole) < 1
    for held in (1, 200, 10_000):
        monkeypatch.setattr(module, "HELD", held)
        assert precision_recall(generated, real, 3) == whole


@pytest.mark.parametrize(("count", "neighbours"), [(3, 3), (5, 0), (0, 1)])
def test_too_few_points_are_refused(count, neighbours):
    with pytest.raises(ValueError, match="N >"):
        Manifold.of(np.zeros((count, 2)), neighbours)


MEMORY = """
import resource
import numpy as np
from evaluation.precision_recall import Manifold
from launch.processes.malloc import keep_freed_memory
keep_freed_memory()  # as commands have it
features = np.random.default_rng(0).normal(size=(14_000, 4))
Manifold.of(features[:100], 3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Manifold.of(features, 3).share(features[:1000])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 2**10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_parts():
    """Its 47 parts are 32 MiB each; of 60 000 images it once took 23 GiB."""
    told = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 200
