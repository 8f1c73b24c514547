"""Curves survive a resume, repeated steps and a torn line."""

from pathlib import Path

from launch.training.metrics_log import MetricsLog, read_metrics


def test_curves_come_back_in_order_and_repeats_replace(tmp_path: Path) -> None:
    first = MetricsLog(tmp_path / "metrics")
    for step in range(4):
        first.log_metrics({"loss": 10.0 + step, "epoch": 0}, step)
    again = MetricsLog(tmp_path / "metrics")
    again.log_metrics({"loss": 2.0}, 2)
    again.log_metrics({"accuracy": 0.5}, 3)
    assert read_metrics(tmp_path / "metrics") == {
        "loss": [(0, 10.0), (1, 11.0), (2, 2.0), (3, 13.0)],
        "accuracy": [(3, 0.5)],
    }


def test_torn_line_costs_only_itself(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.log_metrics({"loss": 1.0}, 0)
    log.log_metrics({"loss": 2.0}, 1)
    content = log.path.read_bytes()
    log.path.write_bytes(content[:-5])
    MetricsLog(tmp_path).log_metrics({"loss": 3.0}, 2)
    assert read_metrics(log.path) == {"loss": [(0, 1.0), (2, 3.0)]}


def test_no_file_is_no_curves(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == {}
