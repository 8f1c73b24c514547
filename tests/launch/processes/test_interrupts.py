"""Signals set a flag; training saves, then stops."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from launch.processes import interrupts
from launch.training.checkpointing import latest_checkpoint
from lightning_modules.dp_sgd.private_training import PrivateTraining
from tests.launch.fits import STEPS, identical, private_fit, public_fit


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    interrupts.install()
    yield
    interrupts.clear()
    interrupts._State.installed = False
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_signal_sets_a_flag_and_nothing_else(number: signal.Signals) -> None:
    assert interrupts.requested() is None
    os.kill(os.getpid(), number)
    assert interrupts.requested() == number
    with pytest.raises(interrupts.Interrupted) as stop:
        interrupts.stop_if_asked()
    assert stop.value.signal == number
    interrupts.clear()
    interrupts.stop_if_asked()


def test_second_ctrl_c_stops_at_once() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_training_saves_at_a_signal_and_goes_on_exactly(tmp_path: Path, number: signal.Signals) -> None:
    def kill_in_step_three(module: PrivateTraining) -> None:
        descend = module.descend

        def killed(gradient: Tensor) -> None:
            if module.private_step == 3:
                os.kill(os.getpid(), number)
            descend(gradient)

        module.descend = killed  # type: ignore[method-assign]

    with pytest.raises(interrupts.Interrupted) as stop:
        private_fit(tmp_path / "stopped", every_steps=None, watch=kill_in_step_three)
    assert stop.value.signal == number
    found = latest_checkpoint(tmp_path / "stopped" / "private")
    assert found is not None and found.step == 4
    assert signal.getsignal(number) is interrupts._note
    interrupts.clear()
    resumed = private_fit(tmp_path / "stopped")
    assert resumed.private_step == STEPS
    assert identical(resumed, private_fit(tmp_path / "whole"))


def test_request_before_the_first_step_leaves_nothing_behind(tmp_path: Path) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(interrupts.Interrupted):
        public_fit(tmp_path)
    assert latest_checkpoint(tmp_path / "public") is None
