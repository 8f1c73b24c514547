"""What is shown of a training stage while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounting.plan import DP_SGD
from accounting.run_key import RunKey
from launch.stages.fitting import bar, fit_private
from launch.training.progress_bar import Nominal, ProgressLines
from tests.launch.run.test_stage import context


@pytest.mark.slow
@pytest.mark.parametrize("accountant", ["rdp", "prv"])
def test_epsilon_grows_with_the_steps_and_never_passes_the_plan(tmp_path: Path, accountant: str) -> None:
    plan = context(tmp_path, f"privacy.accountant={accountant}").plan
    shown = [plan.epsilon_after(done) for done in range(plan.training_steps + 1)]
    assert shown == sorted(shown) and 0 < shown[0] < shown[-1] <= 10
    assert shown[-1] == pytest.approx(plan.composed())


@pytest.mark.parametrize("public", [True, False])
def test_a_private_fit_shows_times_for_public_sets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    """How long a step takes depends on how many records were drawn."""
    here, shown = context(tmp_path), []
    monkeypatch.setattr(type(here.sensitive_source), "public_benchmark", public)
    monkeypatch.setattr("launch.stages.fitting.bar", lambda context, nominal: shown.append(nominal))
    monkeypatch.setattr("launch.stages.fitting.fit", lambda module, data, **settings: module)
    monkeypatch.setattr("launch.stages.fitting.fit_settings", lambda *_: {})
    here.fingerprints["finetune"] = "f" * 64
    mechanism = here.plan.mechanism(DP_SGD)
    key = RunKey.create_or_load(tmp_path / "key")
    access = here.ledger.reserve(mechanism, stage="finetune", fingerprint="f", run_key=key)
    fit_private(here, object(), access, stage="finetune")
    (nominal,) = shown
    assert nominal.timed == public and not nominal.loss
    assert nominal.batch == here.config.finetune.batch_size  # q n, whatever is drawn


def test_a_quiet_run_has_no_bar(tmp_path: Path) -> None:
    here = context(tmp_path)
    nominal = Nominal(stage="pretrain", total_steps=4, batch=8)
    assert bar(here, nominal) is None
    here.console.quiet = False
    assert isinstance(bar(here, nominal), ProgressLines)  # standard error is no terminal here
