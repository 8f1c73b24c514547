"""What dashboards have got, remembered over many starts."""

from __future__ import annotations

import re
from pathlib import Path

from launch.tracking.state import TrackingState


def test_the_id_stays(tmp_path: Path) -> None:
    first = TrackingState(tmp_path / "internal" / "tracking.json").run_id
    assert re.fullmatch("[a-z0-9]{8}", first)
    assert TrackingState(tmp_path / "internal" / "tracking.json").run_id == first
    assert TrackingState(tmp_path / "other.json").run_id != first


def test_destinations_are_told_apart(tmp_path: Path) -> None:
    state = TrackingState(tmp_path / "tracking.json")
    state.mark_live("wandb offline", "pretrain")
    state.mark_sent("csv", "abc")
    again = TrackingState(tmp_path / "tracking.json")
    assert again.shown_live("wandb offline", "pretrain")
    assert not again.shown_live("wandb offline", "finetune") and not again.shown_live("wandb online", "pretrain")
    assert again.sent("csv") == "abc" and again.sent("wandb offline") is None


def test_a_damaged_file_is_a_new_beginning(tmp_path: Path) -> None:
    path = tmp_path / "tracking.json"
    first = TrackingState(path).run_id
    path.write_text("{")
    assert TrackingState(path).run_id != first
    assert TrackingState(path).run_id == TrackingState(path).run_id
