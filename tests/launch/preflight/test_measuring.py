"""Estimates from a few measured batches."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from launch.preflight import measuring
from launch.preflight.measuring import ROUNDS, Job, extrapolate


def test_an_estimate_is_the_median_round_times_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round warms up and does not count."""
    clock = itertools.accumulate([0, 50, 0, 1, 0, 9, 0, 2])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    done: list[int] = []
    estimate = extrapolate("stage", lambda: done.append(1), rounds=10.5, basis="some batches", serial=0.5)
    assert len(done) == 1 + ROUNDS
    assert (estimate.stage, estimate.seconds, estimate.basis) == ("stage", 2 * 11 + 0.5, "some batches")


@given(st.integers(1, 64), st.integers(1, 5000))
def test_parts_cover_a_batch_and_a_ring_sends_less_than_two_copies(processes: int, size: int) -> None:
    job = Job(processes, bandwidth=1e9)
    assert job.part(size) * processes >= size > (job.part(size) - 1) * processes
    model = torch.nn.Linear(1000, 1000, bias=False)
    assert job.sending(model) == pytest.approx(4e6 * 2 * (processes - 1) / processes / 1e9)
