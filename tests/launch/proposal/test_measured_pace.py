"""Whether other programs compute while the machine is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.proposal import measured_pace
from launch.proposal.measured_pace import busy_share


def test_the_share_of_busy_cores_is_that_of_the_system_s_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = tmp_path / "stat"
    times.write_text("cpu  100 0 50 1000 10 0 0 0 0 0\ncpu0 1 1\n")
    monkeypatch.setattr(measured_pace, "CORES", times)
    later = "cpu  160 0 60 1020 20 0 0 0 0 0\ncpu0 1 1\n"  # 70 ticks of 100 are busy
    monkeypatch.setattr(measured_pace.time, "sleep", lambda _: times.write_text(later))
    assert busy_share() == pytest.approx(0.7)
    monkeypatch.setattr(measured_pace, "CORES", tmp_path / "none")
    assert busy_share() == 0
