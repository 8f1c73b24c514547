"""A plan and what it will take, for a person and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from accounting.plan import BudgetPlan
from accounting.statements import (
    delta_text,
    epsilon_text,
    noise_text,
    rate_text,
    rounded_down,
    sensitivity_text,
    target_text,
)
from launch.console import table
from launch.preflight.measuring import Estimate
from launch.preflight.other_accountant import LessNoise


def as_json(budget: BudgetPlan, costs: list[Estimate]) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        **budget.to_dict(),
        "mechanisms": budget.rows(),
        "composed": {name: budget.composed(name) for name in ("rdp", "prv")},
        "remaining": budget.remaining,
        "estimates": [asdict(cost) for cost in costs],
        "total_seconds": sum(cost.seconds for cost in costs),
    }


def readable(
    budget: BudgetPlan, costs: list[Estimate], devices: int, notice: str | None, spared: LessNoise | None = None
) -> str:
    """The plan for a person.

    Args:
        budget: the plan.
        costs: estimates of the stages.
        devices: of the job.
        notice: why nothing of the run will be private, None where it will be.
        spared: what another accountant would spare.
    """
    lines = [notice, ""] if notice else []
    if budget.mechanisms:
        lines += [*budget_lines(budget), *([spared.line()] if spared else [])]
    elif not notice:
        lines.append("budget: nothing is asked of the sensitive images, ε = 0")
    if costs:
        rows = [["stage", "time", "peak memory", "basis"]]
        rows += [
            [cost.stage, rough_duration(cost.seconds), f"{cost.peak_bytes / 2**30:.2f} GiB", cost.basis]
            for cost in costs
        ]
        total = sum(cost.seconds for cost in costs)
        on = f" on {devices} devices like this one ({devices * total / 3600:.2g} device hours)" if devices > 1 else ""
        lines += [
            "",
            table(rows),
            f"together about {rough_duration(total)}{on}; evaluation and reading of images come on top",
        ]
    return "\n".join(lines)


def budget_lines(budget: BudgetPlan) -> list[str]:
    """Every mechanism, and what they compose to."""
    rows = [["mechanism", "noise multiplier", "sampling rate", "steps", "sensitivity", "ε by itself"]]
    for row in budget.rows():
        rows.append(
            [
                row["name"],
                noise_text(row["noise_multiplier"]),
                rate_text(row["sampling_rate"]),
                str(row["steps"]),
                sensitivity_text(row["sensitivity"]),
                epsilon_text(row["epsilon_alone"]),
            ]
        )
    composed = ", ".join(
        f"{name.upper()} ε = {epsilon_text(budget.composed(name))}"
        + (" (calibrated)" if name == budget.accountant else "")
        for name in ("rdp", "prv")
    )
    return [
        f"budget: ε = {target_text(budget.epsilon)}, δ = {delta_text(budget.delta)}, n = {budget.n}; "
        "one record added or removed",
        "",
        table(rows),
        "",
        f"composed: {composed}; left: {rounded_down(budget.remaining, 4)}",
    ]


def rough_duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
