"""What a stage took."""

import sys

import numpy as np
import pytest

from launch.resources import Meter, peak_resident

SIZE = 64 * 2**20


def test_the_peak_is_within_the_block() -> None:
    with Meter() as meter:
        block = np.ones(SIZE, dtype=np.uint8)
        del block
    assert meter.seconds >= 0 and meter.gpu_peak_bytes >= 0
    assert meter.peak_bytes >= SIZE


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux alone")
def test_an_earlier_peak_is_left_out() -> None:
    with Meter() as high:
        block = np.ones(4 * SIZE, dtype=np.uint8)
        del block
    with Meter() as low:
        pass
    assert low.peak_bytes <= high.peak_bytes


def test_a_failing_block_is_measured_as_well() -> None:
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter:
        1 / 0  # noqa: B018
    assert meter.peak_bytes > 0


def test_memory_is_in_bytes() -> None:
    assert 2**20 < peak_resident() < 2**44
