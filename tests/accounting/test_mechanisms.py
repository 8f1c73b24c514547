import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.mechanisms import GaussianHistogram, GaussianQuery, Mechanism, SampledGaussian, mechanism_from_dict
from configs.errors import UserError

POSITIVE = st.floats(1e-3, 1e4)
NAMES = st.text(min_size=1, max_size=12)
MECHANISMS = st.one_of(
    st.builds(GaussianQuery, name=NAMES, noise_multiplier=POSITIVE, sensitivity=POSITIVE),
    st.builds(
        SampledGaussian,
        name=NAMES,
        noise_multiplier=POSITIVE,
        sensitivity=POSITIVE,
        sampling_rate=st.floats(1e-6, 1),
        steps=st.integers(1, 10_000),
    ),
    st.builds(
        GaussianHistogram, name=NAMES, noise_multiplier=POSITIVE, sensitivity=POSITIVE, rounds=st.integers(1, 100)
    ),
)


@given(MECHANISMS)
def test_json_carries_every_mechanism_without_loss(mechanism: Mechanism) -> None:
    assert mechanism_from_dict(json.loads(json.dumps(mechanism.to_dict()))) == mechanism


def test_mechanisms_over_every_record_have_rate_one() -> None:
    query = GaussianQuery(name="q", noise_multiplier=10, sensitivity=math.sqrt(5))
    histogram = GaussianHistogram(name="h", noise_multiplier=10, rounds=7)
    assert (query.sampling_rate, query.steps) == (1.0, 1)
    assert (histogram.sampling_rate, histogram.steps, histogram.sensitivity) == (1.0, 7, 1.0)


def test_numpy_values_become_plain_ones() -> None:
    training = SampledGaussian(
        name="t", noise_multiplier=np.float32(2), sampling_rate=np.float64(0.5), steps=np.int64(3), sensitivity=1
    )
    assert json.loads(json.dumps(training.to_dict()))["steps"] == 3
    assert type(training.steps) is int and type(training.noise_multiplier) is float


VALID = {"name": "t", "noise_multiplier": 1.0, "sampling_rate": 0.5, "steps": 3, "sensitivity": 1.0}


@pytest.mark.parametrize("field", ["noise_multiplier", "sampling_rate", "steps", "sensitivity"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, None, "much"])
def test_impossible_values_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UserError, match=field):
        SampledGaussian(**{**VALID, field: value})


@pytest.mark.parametrize(("field", "value"), [("sampling_rate", 1.01), ("steps", 2.5), ("name", ""), ("name", 3)])
def test_values_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(UserError):
        SampledGaussian(**{**VALID, field: value})


def test_a_dict_that_describes_none_is_refused() -> None:
    with pytest.raises(UserError, match="laplace"):
        mechanism_from_dict({"kind": "laplace"})
    with pytest.raises(UserError, match="colour"):
        mechanism_from_dict({"kind": "gaussian query", "colour": 1})
