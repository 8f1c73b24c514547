"""A stage's metrics on their way to a dashboard."""

from __future__ import annotations

from lightning.pytorch.loggers.logger import DummyLogger

from launch.tracking.stage_logger import StageLogger
from launch.training.publish_barrier import PublishBarrier


class Spy(DummyLogger):
    """Remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.seen.append((step, metrics))


def test_public_values_stand_beside_the_metrics_and_the_epoch_does_not() -> None:
    spy = Spy()
    StageLogger(spy, lambda step: {"epsilon": step + 0.5}).log_metrics({"loss": 1, "epoch": 0}, 3)
    assert spy.seen == [(3, {"loss": 1.0, "epsilon": 3.5})]


def test_behind_the_barrier_nothing_is_shown_before_it_is_durable() -> None:
    spy = Spy()
    barrier = PublishBarrier(StageLogger(spy, lambda step: {"epsilon": float(step)}))
    for step in range(4):
        barrier.log_metrics({"loss": 1.0}, step)
    assert spy.seen == []
    barrier.release(3)
    assert [step for step, _ in spy.seen] == [0, 1, 2]
