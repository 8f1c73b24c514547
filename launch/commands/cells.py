"""The cells of a comparison: which runs a method takes part with."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

from accounting.calibration import BudgetError
from configs.schema import Experiment
from launch.preflight.checked_setup import planned
from launch.studies.study import Cell


def cells_of(method: str, config: Experiment, epsilons: list[float], seeds: int) -> list[Cell]:
    """The runs of one method: one per budget if it depends on that, else one per seed that may spend the largest."""
    chosen = epsilons if depends_on_budget(config, epsilons) else [None]
    return [cell(method, x, seed, max(epsilons)) for x in chosen for seed in range(seeds)]


def cell(method: str, epsilon: float | None, seed: int, largest: float) -> Cell:
    """One run; if its method does not depend on the budget, it may spend the largest one."""
    name = Path(method).stem
    words = (f"method={method}", f"privacy.epsilon={largest if epsilon is None else epsilon!r}")
    return Cell(name, epsilon, seed, words, name if epsilon is None else f"{name}-{epsilon:.12g}")


def depends_on_budget(config: Experiment, epsilons: list[float]) -> bool:
    """Whether another budget would change the noise of any mechanism, or is too small for it: that run then says so."""
    plans = []
    with warnings.catch_warnings():  # a run says what is to be said of its own budget
        warnings.simplefilter("ignore")
        for epsilon in [*epsilons, 2 * max(epsilons)]:
            try:
                plans.append(planned(replaced(config, epsilon)).plan.mechanisms)
            except BudgetError:
                return True
    return any(found != plans[0] for found in plans)


def replaced(config: Experiment, epsilon: float) -> Experiment:
    """The configuration with another budget."""
    return dataclasses.replace(config, privacy=dataclasses.replace(config.privacy, epsilon=epsilon))
