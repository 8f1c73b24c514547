"""Peak memory, compared with what is known about a computation and with the allocator's own record."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.memory import LiveMemory, peak_memory
from tests.lightning_modules.test_diffusion import build, records, seeded

CPU = torch.device("cpu")


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5000)), max_size=40))
def test_tensors_count_as_long_as_they_live(program: list[tuple[bool, int]]) -> None:
    """Any sequence of allocations and frees, compared with plain book-keeping."""
    alive: list[Tensor] = []
    sizes: list[int] = []
    peak = 0
    with LiveMemory() as memory:
        for makes, size in program:
            if makes:
                alive.append(torch.empty(size))
                sizes.append(4 * size)
            elif alive:
                alive.pop(size % len(alive))
                sizes.pop(size % len(sizes))
            peak = max(peak, sum(sizes))
            assert (memory.now, memory.peak) == (sum(sizes), peak)
    alive.clear()
    assert memory.now == 0 and memory.peak == peak


def test_views_and_changes_in_place_take_nothing() -> None:
    before = torch.zeros(100)
    with LiveMemory() as memory:
        before.view(10, 10).t().add_(1)
        before.detach()[3:].mul_(2)
        before.requires_grad_(False)
        assert (memory.now, memory.peak) == (0, 0)
        made = torch.empty(10)
        kept = made[:1]
        del made
        assert memory.now == 40  # a view keeps all of it
        torch.add(kept, 1, out=before[:1])
        del kept
        assert memory.now == 0


@pytest.mark.parametrize("depth", [1, 5, 20])
def test_a_chain_holds_what_its_backward_pass_needs(depth: int) -> None:
    """exp keeps its result: with gradients a chain of n keeps n of them, without gradients only the newest two."""

    def chain(x: Tensor) -> Tensor:
        for _ in range(depth):
            x = x.exp()
        return x

    start = torch.zeros(1000, requires_grad=True)
    assert peak_memory(lambda: chain(start), CPU) == 4000 * depth
    with torch.no_grad():
        assert peak_memory(lambda: chain(start), CPU) == 4000 * min(depth, 2)


def allocated(work) -> int:
    """The peak of the memory that PyTorch's allocator gave out during some work, from the profiler's record."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 300])
def test_training_takes_what_the_allocator_says(size: int) -> None:
    network = nn.Sequential(nn.Linear(50, 200), nn.LayerNorm(200), nn.SiLU(), nn.Linear(200, 30))
    inputs = torch.randn(size, 50)

    def step() -> None:
        network(inputs).square().sum().backward()
        network.zero_grad()

    step()
    assert peak_memory(step, CPU) == pytest.approx(allocated(step), rel=0.01)


@pytest.mark.slow
def test_a_clipped_sum_takes_what_the_allocator_says() -> None:
    """The engine of every run, on a network of convolutions, norms and attention: kernels hide no memory."""
    engine = OpacusEngine(build(multiplicity=2), 1.0)
    images, labels = records(30)

    def work() -> None:
        engine.clipped_sum(images, labels, seeded())

    work()
    found = peak_memory(work, CPU)
    assert found == pytest.approx(allocated(work), rel=0.02)
    assert found == peak_memory(work, CPU)  # to the byte
