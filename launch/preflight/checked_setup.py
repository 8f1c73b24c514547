"""From a configuration to a run that may begin: everything that is known before any image is read."""

from __future__ import annotations

import launch.stages  # noqa: F401  (registers the stages)
from configs.schema import Experiment
from launch.components import Sources, discreet, naming
from launch.preflight.checks import check_experiment
from launch.preflight.planning import plan
from launch.run.guarantee import Guarantee
from launch.run.reused_answers import ReusedAnswers
from launch.run.setup import Setup
from launch.run.stage import order


def set_up(config: Experiment) -> Setup:
    """A run that was planned and checked. Opens no image.

    Raises:
        UserError: for a mistake in the configuration, with the key.
    """
    order(config)
    setup = planned(config)
    check_experiment(setup)
    return setup


def planned(config: Experiment) -> Setup:
    """A run that was planned, but not checked any further. Opens no image.

    Raises:
        UserError: if the budget or a source is impossible.
    """
    sources = Sources.of(config)
    with discreet(sources.sensitive), naming("sensitive"):
        n = sources.sensitive.size()
    answers = ReusedAnswers(config, n)
    return Setup(config, Guarantee.of(config), sources, answers, plan(config, n, answers))
