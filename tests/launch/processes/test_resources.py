"""What a stage took."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from launch.processes.resources import Meter, available_memory, free_memory, group_limits, peak_resident

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


def test_available_memory_is_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable:   70 kB\n")
    assert available_memory(tmp_path / "meminfo") == 70 * 1024
    assert available_memory(tmp_path / "missing") >= available_memory() > 2**20


def test_memory_is_limited_by_every_control_group_around(tmp_path: Path) -> None:
    """Caches are freed when memory is needed, so they do not count; a group without a limit limits nothing."""

    def group(path: Path, limit: str, used: int, cached: int) -> None:
        path.mkdir(exist_ok=True)
        (path / "memory.max").write_text(f"{limit}\n")
        (path / "memory.current").write_text(f"{used}\n")
        (path / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nslab 6\n")

    (tmp_path / "groups").mkdir()
    group(tmp_path / "groups" / "job", "1000", 400, 100)
    group(tmp_path / "groups" / "job" / "step", "max", 300, 0)
    (tmp_path / "own").write_text("1:name=systemd:/other\n0::/job/step\n")
    assert min(group_limits(tmp_path / "groups", tmp_path / "own")) == 700
    group(tmp_path / "groups" / "job" / "step", "500", 300, 0)
    assert min(group_limits(tmp_path / "groups", tmp_path / "own")) == 200
    (tmp_path / "own").write_text("1:memory:/version/one\n")
    assert group_limits(tmp_path / "groups", tmp_path / "own") == [float("inf")]
    assert group_limits(tmp_path / "groups", tmp_path / "missing") == [float("inf")]


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    assert 2**20 < free_memory(torch.device("cpu")) <= available_memory(Path("/missing"))
