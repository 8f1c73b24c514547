"""The budget of an experiment, before any image is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accounting.mechanisms import Mechanism
from configs.loading import load
from launch import components
from launch.preflight.checked_setup import planned


@dataclass(frozen=True)
class Plan:
    """What a run will spend. Holds public constants only."""

    epsilon: float | None
    """ε of all mechanisms together, at most the target; None if a stage takes no noise, so that there is none."""
    target_epsilon: float
    """`privacy.epsilon`."""
    delta: float
    """In (0, 1/n)."""
    n: int
    """Number of sensitive records, public by declaration."""
    accountant: str
    """The one that composed ε: "rdp" or "prv"."""
    mechanisms: tuple[Mechanism, ...]
    """Each with `name`, `noise_multiplier`, `sensitivity`, `sampling_rate` and `steps`, in the order of use."""
    notice: str | None
    """Why nothing of the run would be private, or None."""


def plan(experiment: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """The mechanisms of an experiment with their noise multipliers, calibrated to its budget. Opens no image.

    Args:
        experiment: a preset, or a YAML file.
        overrides: `key=value` each, as on the command line.

    Raises:
        UserError: for a mistake in the configuration, or a budget that cannot be met.
    """
    components.load()
    setup = planned(load(str(experiment), list(overrides)))
    budget, guarantee = setup.plan, setup.guarantee
    return Plan(
        epsilon=budget.composed() if guarantee.without_noise is None else None,
        target_epsilon=budget.epsilon,
        delta=budget.delta,
        n=budget.n,
        accountant=budget.accountant,
        mechanisms=budget.mechanisms,
        notice=guarantee.notice,
    )
