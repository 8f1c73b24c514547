"""The largest micro-batch that fits: never too large for the memory, and not much smaller than possible."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import UserError
from lightning_modules.dp_sgd.engine import PrivateStatistics
from lightning_modules.dp_sgd.micro_batch import GIB, MARGIN, PROBES, MicroBatch, largest_fitting, largest_micro_batch
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.memory import peak_memory
from tests.lightning_modules.dp_sgd.toy import CHANNELS, CLASSES, SIDE, records, toy

CPU = torch.device("cpu")
SHAPE = (CHANNELS, SIDE, SIDE)


class Needs:
    """A measurement computed by a rule; remembers what was measured. None if the machine has too little memory."""

    def __init__(self, rule, machine: float = math.inf) -> None:
        self.rule, self.machine, self.asked = rule, machine, []

    def __call__(self, size: int) -> int | None:
        self.asked.append(size)
        need = self.rule(size)
        return need if need <= self.machine else None


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(0, 10**7), st.integers(1, 600))
def test_on_a_line_it_is_the_largest_that_fits(start: int, slope: int, memory: int, largest: int) -> None:
    measure = Needs(lambda size: start + slope * size)
    found = largest_fitting(measure, memory=memory, largest=largest, verify=False)
    fitting = [size for size in range(1, largest + 1) if MARGIN * (start + slope * size) <= memory]
    best = max(fitting, default=0)
    if best and largest > 1 and 2 * MARGIN * (start + slope) > memory:  # two are not tried, and one is safe
        assert 1 <= found.size <= best
    else:
        assert abs(found.size - best) <= 1  # rounding
    assert not found.size or MARGIN * measure.rule(found.size) <= memory * (1 + 1e-9)
    assert max(measure.asked) <= max(PROBES)


@given(
    st.lists(st.tuples(st.integers(0, 10**5), st.integers(1, 10**4)), min_size=1, max_size=4),
    st.integers(1, 10**7),
    st.integers(1, 600),
)
def test_a_peak_that_moves_is_met_by_measuring(lines: list, memory: int, largest: int) -> None:
    """The memory needed is the largest of several lines; the choice fits and nearly fills the memory."""
    measure = Needs(lambda size: max(start + slope * size for start, slope in lines))
    found = largest_fitting(measure, memory=memory, largest=largest, verify=True)
    if found.size == 0:
        assert MARGIN * measure.rule(1) > memory
        return
    assert measure.rule(found.size) <= memory and found.peak_bytes >= measure.rule(found.size)
    if 2 * MARGIN * measure.rule(1) <= memory:  # else two are not tried
        assert found.size == largest or measure.rule(math.ceil(1.25 * found.size) + 4) > memory / MARGIN**2


@given(st.lists(st.integers(1, 1000), min_size=64, max_size=64), st.integers(1, 10**4), st.integers(1, 10**4))
def test_an_out_of_memory_goes_down(steps: list[int], memory: int, machine: int) -> None:
    """For any needs that grow, and for any amount of memory that the machine really has."""
    measure = Needs(lambda size: sum(steps[:size]), machine)
    found = largest_fitting(measure, memory=memory, largest=64, verify=True)
    if found.size:
        assert measure.rule(found.size) <= min(memory, machine)
        assert found.peak_bytes <= memory
    else:
        assert MARGIN * measure.rule(1) > memory or measure.rule(1) > machine
    assert len(measure.asked) < 70


def test_what_would_hardly_fit_is_not_tried() -> None:
    """On the CPU a trial that takes too much memory would end the process."""
    measure = Needs(lambda size: 100 * size)
    found = largest_fitting(measure, memory=200, largest=64, verify=False)
    assert found.size == 1 and 110 <= found.peak_bytes <= 111
    assert measure.asked == [1]


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(1, 3), st.floats(0.2, 60))
def test_an_engine_s_own_micro_batch(multiplicity: int, mebibytes: float) -> None:
    """The choice fits when measured, a quarter more would not, and the choice is always the same."""
    model = toy(multiplicity=multiplicity)
    engine = OpacusEngine(model, 1.0)
    memory = mebibytes * 2**20

    def choose() -> MicroBatch:
        return largest_micro_batch(engine, shape=SHAPE, classes=CLASSES, device=CPU, memory=memory, largest=2000)

    def need(size: int) -> int:
        images, labels = records(size)
        found = peak_memory(lambda: engine.clipped_sum(images, labels, torch.Generator().manual_seed(0)), CPU)
        assert found is not None
        return found

    found = choose()
    assert found == choose()
    assert need(found.size) <= min(memory, found.peak_bytes)
    assert found.size == 2000 or need(math.ceil(1.25 * found.size) + 1) > memory / 1.1


def test_no_more_than_is_useful_and_the_model_is_left_as_it_was() -> None:
    model = toy()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    random = torch.get_rng_state()
    engine = OpacusEngine(model, 1.0)
    found = largest_micro_batch(engine, shape=SHAPE, classes=CLASSES, device=CPU, memory=GIB, largest=37)
    assert found.size == 37
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_images_are_made_up() -> None:
    """The engine sees only what is public: a shape and a number of categories."""
    shown: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Engine:
        clip_norm = 1.0

        def clipped_sum(self, images, labels, generator):
            shown.append((images, labels))
            return torch.empty(1000 * len(images)), PrivateStatistics()

    found = largest_micro_batch(Engine(), shape=(3, 5, 7), classes=4, device=CPU, memory=10**6, largest=1000)
    assert found.size == pytest.approx(10**6 / MARGIN / 4000, abs=1)
    assert [len(images) for images, _ in shown] == list(PROBES)
    for images, labels in shown:
        assert images.shape[1:] == (3, 5, 7) and images.dtype == torch.uint8
        assert labels.dtype == torch.int64 and 0 <= int(labels.min()) <= int(labels.max()) < 4


def test_the_message_names_the_memory_that_is_enough() -> None:
    engine = OpacusEngine(toy(), 1.0)

    def choose(memory: float) -> MicroBatch:
        return largest_micro_batch(
            engine, shape=SHAPE, classes=CLASSES, device=CPU, memory=memory, largest=9, beside=0.3 * GIB
        )

    with pytest.raises(
        UserError, match=r"^finetune\.memory_gib: one record needs [\d.]+ GiB, but there are 0\.10"
    ) as no:
        choose(0.1 * GIB)
    needed = float(re.findall(r"needs ([\d.]+) GiB", str(no.value))[0])
    assert choose(needed * GIB).size >= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
def test_on_a_gpu_the_choice_is_tried_out() -> None:
    device = torch.device("cuda")
    engine = OpacusEngine(toy().to(device), 1.0)
    memory = 20 * 2**20
    found = largest_micro_batch(engine, shape=SHAPE, classes=CLASSES, device=device, memory=memory, largest=100_000)
    images, labels = (part.to(device) for part in records(found.size))
    need = peak_memory(lambda: engine.clipped_sum(images, labels, torch.Generator(device).manual_seed(0)), device)
    assert need is not None and 0.7 * memory < need <= memory
