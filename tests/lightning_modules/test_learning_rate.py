"""Learning rates of public training."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from lightning_modules.learning_rate import one_cycle


def rates(steps: int, warm_up: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = one_cycle(optimizer, steps, warm_up)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_it_rises_to_the_peak_and_falls_to_zero() -> None:
    seen = rates(100, 20)
    assert seen[0] == pytest.approx(0.1) and max(seen) == seen[19] == pytest.approx(2.0)
    assert all(a < b for a, b in pairwise(seen[:20]))
    assert all(a > b for a, b in pairwise(seen[20:]))
    assert seen[60] == pytest.approx(1.0)


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 0), (2, 0), (5, 5), (3, 100)])
def test_short_runs_learn_too(steps: int, warm_up: int) -> None:
    assert max(rates(steps, warm_up)) > 0
