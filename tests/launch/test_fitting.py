"""What is shown of a training stage as it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.fitting import bar, epsilon_after
from launch.progress_bar import Nominal, ProgressLines
from tests.launch.test_stage import context


@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_epsilon_grows_with_the_steps_and_never_passes_the_plan(tmp_path: Path, accountant: str) -> None:
    here = context(tmp_path, f"privacy.accountant={accountant}")
    after = epsilon_after(here)
    shown = [after(done) for done in range(here.config.finetune.steps + 1)]
    assert shown == sorted(shown) and 0 < shown[0] < shown[-1] <= 10
    assert shown[-1] == pytest.approx(here.plan.composed())


def test_a_quiet_run_has_no_bar(tmp_path: Path) -> None:
    here = context(tmp_path)
    nominal = Nominal(stage="pretrain", total_steps=4, batch=8)
    assert bar(here, nominal) is None
    here.console.quiet = False
    assert isinstance(bar(here, nominal), ProgressLines)  # standard error is no terminal here
