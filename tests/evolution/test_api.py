"""Answers of an API that are wrong."""

from __future__ import annotations

import asyncio
import os
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from configs.errors import UserError
from configs.schema import Image
from evolution.api import APIS, Checked, by_round
from evolution.samples import Samples
from tests.evolution.shapes import SIDE, Flat

RNG = np.random.default_rng(0)


class Mute(RuntimeError):
    """Fails to say what went wrong."""

    def __str__(self) -> str:
        raise ValueError


class Fixed:
    """Returns the answer that it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def random(self, category: str, count: int, rng: np.random.Generator) -> Any:
        return self.answer

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Any:
        raise RuntimeError("no variations today")


def images(count: int, side: int = SIDE, kind: type = np.uint8, channels: int = 1) -> np.ndarray:
    return np.zeros((count, channels, side, side), dtype=kind)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            Samples.of_images(images(2)),
            r"Fixed.random\('4', 3\) gave images uint8 \[2, 1, 8, 8\]; give uint8 \[3, 1, 8, 8\]",
        ),
        (Samples.of_images(images(3, side=9)), r"gave images uint8 \[3, 1, 9, 9\]"),
        (Samples.of_images(images(3, channels=3)), r"gave images uint8 \[3, 3, 8, 8\]"),
        (Samples.of_images(images(3, kind=np.float32)), r"gave images float32"),
        (Samples(images(3), np.full((3, 1), np.nan)), "parameters that are infinite or NaN"),
        (Samples(images(3), np.zeros((3, 1), dtype=np.int64)), "parameters int64"),
        (images(3), "gave ndarray; give Samples"),
        (None, "gave NoneType; give Samples"),
    ],
)
def test_it_is_named_in_one_clear_error(answer: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Checked(Fixed(answer), "Fixed", Image(resolution=SIDE, channels=1)).random("4", 3, RNG)


def test_arrays_of_another_kind_are_told_so() -> None:
    class Lists(Flat):
        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            return Samples(images(count), [[0.0]] * count)  # type: ignore[arg-type]

    class Tensors(Flat):
        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            return Samples(torch.zeros(count, 1, SIDE, SIDE), np.zeros((count, 0)))  # type: ignore[arg-type]

    for api, message in ((Lists(), "parameters are a list"), (Tensors(), "images are a Tensor")):
        with pytest.raises(UserError, match=rf"random failed: TypeError: {message}; give a NumPy array"):
            Checked(api, "Mine", Image(resolution=SIDE, channels=1)).random("4", 3, RNG)


def test_so_is_one_that_fails() -> None:
    checked = Checked(Fixed(None), "Fixed", Image(resolution=SIDE, channels=1))
    with pytest.raises(UserError, match=r"evolution\.api: Fixed\.vary failed: RuntimeError: no variations today"):
        checked.vary(Samples.of_images(images(2)), 0.5, RNG)


def test_one_that_wants_to_end_the_run_has_failed() -> None:
    class Ends(Flat):
        def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
            raise SystemExit(0)

    checked = Checked(Ends(), "Ends", Image(resolution=SIDE, channels=1))
    with pytest.raises(UserError, match=r"Ends\.vary failed: SystemExit"):
        checked.vary(Samples.of_images(images(2)), 0.5, RNG)


class Greedy(Flat):
    """Needs more memory than there is."""

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        raise MemoryError("no room")


class Undecided(Flat):
    """Says who makes the candidates of a round, and fails."""

    def api_of_round(self, round: int) -> Any:
        raise IndexError("which round?")


def test_whatever_fails_in_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = Checked(Greedy(), "Greedy", Image(resolution=SIDE, channels=1))
    with pytest.raises(UserError, match=r"Greedy\.random failed: MemoryError: no room"):
        checked.random("4", 3, RNG)
    monkeypatch.setattr(APIS, "build", lambda config, surroundings: Undecided())
    with pytest.raises(UserError, match=r"Undecided failed: IndexError: which round\?"):
        by_round(None, SimpleNamespace(image=None))(0)  # type: ignore[arg-type]


def test_what_it_changes_of_the_process_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Messy(Flat):
        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            print("drawing")
            os.chdir("elsewhere")
            torch.set_default_dtype(torch.float64)
            torch.set_default_device("meta")
            torch.set_grad_enabled(False)
            torch.set_num_threads(threads + 1)
            torch.set_float32_matmul_precision("medium")
            np.seterr(all="raise")
            warnings.simplefilter("error")
            return super().random(category, count, rng)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    threads, filters, errors = torch.get_num_threads(), list(warnings.filters), np.geterr()
    Checked(Messy(), "Messy", Image(resolution=SIDE, channels=1)).random("4", 3, RNG)
    assert Path.cwd() == tmp_path and torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).device.type == "cpu" and torch.is_grad_enabled() and torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == "highest" and np.geterr() == errors
    assert list(warnings.filters) == filters
    assert capsys.readouterr() == ("", "drawing\n")  # the output may be read by a program


@pytest.mark.parametrize("error", [asyncio.CancelledError("stop"), type("Own", (BaseException,), {})("mine"), Mute()])
def test_whatever_an_api_raises_is_one_message(error: BaseException) -> None:
    class Failing(Flat):
        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            raise error

    with pytest.raises(UserError, match=rf"Failing\.random failed: {type(error).__name__}: "):
        Checked(Failing(), "Failing", Image(resolution=SIDE, channels=1)).random("4", 3, RNG)


def test_nobody_is_asked_for_no_samples() -> None:
    checked = Checked(Fixed(None), "Fixed", Image(resolution=SIDE, channels=1))
    none = checked.random("4", 0, RNG)
    assert none.images.shape == (0, 1, SIDE, SIDE) and len(checked.vary(none, 0.5, RNG)) == 0


def test_an_answer_stays_what_it_was_where_the_api_uses_its_memory_again() -> None:
    class Reused(Flat):
        buffer = np.zeros((4, 1, SIDE, SIDE), dtype=np.uint8)

        def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
            self.buffer[:] = int(category)
            return Samples(self.buffer, np.zeros((count, 1)))

    checked = Checked(Reused(), "Reused", Image(resolution=SIDE, channels=1))
    first = checked.random("7", 4, RNG)
    checked.random("9", 4, RNG)
    assert (first.images == 7).all()


def test_a_good_answer_passes_as_it_is() -> None:
    checked = Checked(Flat(), "Flat", Image(resolution=SIDE, channels=1))
    first = checked.random("4", 5, np.random.default_rng(1))
    assert np.array_equal(first.images, Flat().random("4", 5, np.random.default_rng(1)).images)
    assert len(checked.vary(first, 0.1, RNG)) == 5
