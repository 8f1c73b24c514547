"""What is decided before a run begins, for tests that need a part of it."""

from __future__ import annotations

from typing import Any, cast

from accounting.plan import BudgetPlan
from configs.schema import Experiment
from launch.components import Sources
from launch.preflight import checks
from launch.preflight.checked_setup import planned
from launch.run.guarantee import Guarantee
from launch.run.reused_answers import ReusedAnswers
from launch.run.setup import Setup


def plan(config: Experiment) -> BudgetPlan:
    """The budget of an experiment."""
    return planned(config).plan


def check_experiment(config: Experiment) -> None:
    """Check an experiment whose budget may be impossible."""
    unplanned = cast(Any, None)
    checks.check_experiment(
        Setup(config, Guarantee.of(config), Sources.of(config), ReusedAnswers(config, 0), plan=unplanned)
    )
