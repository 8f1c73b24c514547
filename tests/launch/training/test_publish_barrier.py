"""Nothing passes the barrier before its step is durable; what was held back is dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.loggers.logger import DummyLogger

from launch.training.publish_barrier import PublishBarrier


class Spy(DummyLogger):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int | None, dict[str, float]]] = []
        self.finalized: list[str] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.seen.append((step, metrics))

    def finalize(self, status: str) -> None:
        self.finalized.append(status)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=40))
def test_only_durable_steps_pass_each_once_and_in_order(actions: list[tuple[bool, int]]) -> None:
    spy = Spy()
    barrier = PublishBarrier(spy)
    computed = durable = 0
    for saves, count in actions:
        if saves:  # a checkpoint, which need not cover the last steps
            durable = max(durable, computed - count)
            barrier.release(durable)
        else:
            for _ in range(count):
                barrier.log_metrics({"loss": float(computed)}, step=computed)
                computed += 1
        assert spy.seen == [(step, {"loss": float(step)}) for step in range(durable)]


def test_what_is_not_released_is_dropped_at_the_end() -> None:
    spy = Spy()
    barrier = PublishBarrier(spy)
    barrier.log_metrics({"loss": 1.0}, step=0)
    barrier.finalize("failed")
    barrier.release(10)
    assert spy.seen == [] and spy.finalized == ["failed"]


def test_values_without_a_step_are_refused() -> None:
    with pytest.raises(ValueError, match="private step"):
        PublishBarrier(Spy()).log_metrics({"loss": 1.0})


def test_no_way_around_it() -> None:
    assert not hasattr(PublishBarrier(Spy()), "experiment")
