"""Noise drawn ahead is the access's noise, is given out once, and leaves no thread behind."""

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from accounting.access import PrivacyError, PrivateAccess
from accounting.keystream import _CHUNK
from lightning_modules.dp_sgd import noise_ahead
from lightning_modules.dp_sgd.noise_ahead import NoiseAhead
from tests.lightning_modules.dp_sgd.private import private_training, reserved
from tests.lightning_modules.dp_sgd.test_private_training import flat, train
from tests.lightning_modules.dp_sgd.toy import toy

STEPS = 40
UNIT = 2.0**-20
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> PrivateAccess:
    return reserved(tmp_path_factory.mktemp("reserved"), steps=STEPS)[1]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces so small that the toy's noise has many of them."""
    monkeypatch.setattr(noise_ahead, "_PIECE", 6)
    return 6


class Watched:
    """An access that records what is requested, and may fail or wait first."""

    def __init__(self, access: PrivateAccess, before: Callable[[int, int], None] = lambda step, start: None) -> None:
        self.access, self.before = access, before
        self.mechanism = access.mechanism
        self.asked: list[tuple[int, int, int]] = []

    def whole_noise(self, step: int, count: int, unit: float, start: int = 0) -> np.ndarray:
        self.asked.append((step, start, count))
        self.before(step, start)
        return self.access.whole_noise(step, count, unit, start)


def drawers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("noise-ahead")]


def expected(access: PrivateAccess, step: int, count: int) -> Tensor:
    return torch.from_numpy(access.whole_noise(step, count, UNIT))


@pytest.mark.slow
@given(
    steps=st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=5, unique=True).map(sorted),
    count=st.integers(0, 60),
    begun=st.booleans(),
    threads=st.integers(1, 5),
)
@settings(max_examples=60)
def test_noise_is_that_of_the_access(
    access: PrivateAccess, steps: list[int], count: int, begun: bool, threads: int
) -> None:
    noise = NoiseAhead(access, UNIT, threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise_ahead, "_PIECE", 6)
        for step in steps:
            if begun:
                noise.begin(step, count, CPU)
            taken = noise.take(step, count, CPU)
            assert taken.dtype == torch.int64 and torch.equal(taken, expected(access, step, count))
        noise.close()


@pytest.mark.parametrize("around", [_CHUNK, noise_ahead._PIECE, 2 * noise_ahead._PIECE])
@pytest.mark.parametrize("more", [-1, 0, 1, 3])
def test_pieces_join_where_they_meet(access: PrivateAccess, around: int, more: int) -> None:
    noise = NoiseAhead(access, UNIT, threads=3)
    for step in (5, 6):
        assert torch.equal(noise.take(step, around + more, CPU), expected(access, step, around + more))
    noise.close()


def test_noise_too_great_for_its_grid_is_refused_before_a_step(access: PrivateAccess) -> None:
    with pytest.raises(PrivacyError, match="too great"):
        NoiseAhead(access, 2.0**-50)


def test_what_was_begun_for_another_step_or_length_is_not_used(access: PrivateAccess) -> None:
    noise = NoiseAhead(access, UNIT)
    for begun, step, count in ((0, 1, 9), (2, 2, 8), (3, 9, 9)):
        noise.begin(begun, 9, CPU)
        assert torch.equal(noise.take(step, count, CPU), expected(access, step, count))
    noise.close()


def test_every_value_is_drawn_once_and_none_beyond_the_charged_steps(access: PrivateAccess, small_pieces: int) -> None:
    watched = Watched(access)
    noise = NoiseAhead(watched, UNIT)
    for step in range(STEPS):
        noise.begin(step, 20, CPU)
        noise.take(step, 20, CPU)
    noise.close()
    pieces = [(0, 6), (6, 6), (12, 6), (18, 2)]
    assert sorted(watched.asked) == [(step, *piece) for step in range(STEPS) for piece in pieces]


@pytest.mark.parametrize("step", [-1, STEPS, 10**9])
def test_a_step_that_was_not_charged_is_refused(access: PrivateAccess, step: int) -> None:
    noise = NoiseAhead(access, UNIT)
    with pytest.raises(PrivacyError):
        noise.take(step, 4, CPU)


@pytest.mark.parametrize("again", [0, 4, 5])
def test_a_step_is_taken_once_and_in_order(access: PrivateAccess, again: int) -> None:
    noise = NoiseAhead(access, UNIT)
    noise.take(5, 4, CPU)
    with pytest.raises(PrivacyError, match="again"):
        noise.take(again, 4, CPU)
    noise.close()
    with pytest.raises(PrivacyError, match="again"):
        noise.take(again, 4, CPU)
    noise.take(6, 4, CPU)
    noise.close()


@pytest.mark.parametrize("failing", [0, 6, 18])
def test_an_error_in_a_thread_surfaces_where_the_noise_is_taken(
    access: PrivateAccess, small_pieces: int, failing: int
) -> None:
    def fail(step: int, start: int) -> None:
        if step == 1 and start == failing:
            raise MemoryError("no room")

    noise = NoiseAhead(Watched(access, fail), UNIT, threads=2)
    noise.take(0, 20, CPU)  # step 1 has started here, but has not been requested
    with pytest.raises(MemoryError, match="no room"):
        noise.take(1, 20, CPU)
    assert torch.equal(noise.take(2, 20, CPU), expected(access, 2, 20))
    noise.close()


def test_closing_waits_for_what_is_drawn_and_drops_the_rest(access: PrivateAccess, small_pieces: int) -> None:
    started, go = threading.Event(), threading.Event()

    def hold(step: int, start: int) -> None:
        started.set()
        assert go.wait(60)

    watched = Watched(access, hold)
    noise = NoiseAhead(watched, UNIT, threads=2)
    noise.begin(0, 600, CPU)
    assert started.wait(60)
    threading.Timer(0.05, go.set).start()
    noise.close()
    asked = len(watched.asked)
    assert go.is_set() and asked < 100
    for thread in drawers():
        thread.join(60)
    assert len(watched.asked) == asked and not drawers()
    noise.close()
    assert torch.equal(noise.take(0, 20, CPU), expected(access, 0, 20))
    noise.close()


def test_it_is_never_shown_or_copied(access: PrivateAccess) -> None:
    noise = NoiseAhead(access, UNIT)
    assert "hidden" in repr(noise)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="key material"):
            act(noise)


def test_no_thread_is_there_before_a_fit_or_after_it(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=4)
    module = private_training(toy(), access)
    assert not drawers()
    train(module)
    for thread in drawers():
        thread.join(60)
    assert not drawers() and module.noise._drawing is None
    assert not any("noise" in key for key in module.state_dict())


def test_a_fit_that_fails_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, access = reserved(tmp_path, steps=4)
    module = private_training(toy(), access)
    descend = module.descend

    def fail(gradient: Tensor) -> None:
        descend(gradient)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "descend", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(module)
    for thread in drawers():
        thread.join(60)
    assert not drawers()


def test_an_error_of_the_noise_fails_the_fit(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=4)
    module = private_training(toy(), access)

    def fail(step: int, start: int) -> None:
        if step == 2:
            raise MemoryError("no room")

    module.noise = NoiseAhead(Watched(access, fail), module.unit)
    with pytest.raises(MemoryError, match="no room"):
        train(module)
    assert module.private_step == 2


def fit_and_send(module: Any, sender: Any) -> None:
    train(module)
    sender.send(flat(module.model.trainable).numpy())


def test_a_fit_in_a_forked_process_after_one_here_is_the_same(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=4)
    here = private_training(toy(), access)
    there = private_training(toy(), access)
    train(here)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=fit_and_send, args=(there, sender))
    child.start()
    assert receiver.poll(120)
    weights = receiver.recv()
    child.join(60)
    assert np.array_equal(weights, flat(here.model.trainable).numpy())


def test_parts_of_a_sum_get_the_parts_of_its_noise(access: PrivateAccess, small_pieces: int) -> None:
    whole = access.whole_noise(0, 101, UNIT)
    for first, last in ((0, 34), (34, 68), (68, 101), (101, 101)):
        noise = NoiseAhead(access, UNIT)
        part = noise.take(0, last - first, CPU, first)
        assert np.array_equal(part.numpy(), whole[first:last])
        noise.close()


def test_training_adds_the_noise_of_the_access_bit_for_bit(
    tmp_path: Path, small_pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, access = reserved(tmp_path, steps=6)
    ahead, inline = private_training(toy(), access), private_training(toy(), access)
    train(ahead)
    plain = SimpleNamespace(
        begin=lambda step, count, device, start: None,
        take=lambda step, count, device, start: torch.from_numpy(access.whole_noise(step, count, inline.unit, start)),
        close=lambda: None,
    )
    monkeypatch.setattr(inline, "noise", plain)
    train(inline)
    assert torch.equal(flat(ahead.model.trainable), flat(inline.model.trainable))


def test_noise_is_begun_before_the_gradients_it_is_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, access = reserved(tmp_path, steps=3)
    module = private_training(toy(), access)
    watched = Watched(access)
    module.noise = NoiseAhead(watched, module.unit)
    gradient_sum = module.gradient_sum
    begun: list[tuple[int, int]] = []

    def look(step: int, *batch: Tensor) -> Any:
        assert module.noise._drawing is not None
        begun.append((step, module.noise._drawing.step))
        return gradient_sum(step, *batch)

    monkeypatch.setattr(module, "gradient_sum", look)
    train(module)
    assert begun == [(0, 0), (1, 1), (2, 2)]
    count = len(flat(module.model.trainable))
    assert watched.asked == [(step, 0, count) for step in range(3)]
