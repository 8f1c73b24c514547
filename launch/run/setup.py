"""What is decided once, before the first stage of a run, and passed on from there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from accounting.plan import BudgetPlan
from configs.schema import Experiment
from evaluation.inception import find_weights
from launch.components import Sources
from launch.run.guarantee import Guarantee
from launch.run.reused_answers import ReusedAnswers


@dataclass(frozen=True, eq=False)
class Setup:
    """A run as it was checked: its configuration, and everything that follows from it without opening an image."""

    config: Experiment
    guarantee: Guarantee
    sources: Sources
    answers: ReusedAnswers
    """Private answers of other runs that this run takes over."""
    plan: BudgetPlan

    @cached_property
    def inception(self) -> tuple[Path | None, str]:
        """The file of the Inception weights, or None and the reason; looked for when first needed, and only once.

        Raises:
            UserError: if the given file is missing or is another file.
        """
        return find_weights(self.config.evaluate.inception_weights, self.config.evaluate.download)
