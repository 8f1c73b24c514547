"""`privimage preflight`: the budget plan and what the run will take, before any sensitive image is read."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from accounting.plan import BudgetPlan
from launch.commands.experiment import add_experiment, read
from launch.console import table
from launch.preflight import Estimate

DESCRIPTION = """\
Checks an experiment and prints its plan: every mechanism with its noise multiplier, what it costs alone and composed,
and the time and memory of each stage, from a few measured batches of public images. Reads no sensitive image.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(
        commands, "preflight", "check an experiment, print its plan and its cost", DESCRIPTION, command
    )
    parser.add_argument("--no-measure", action="store_true", help="leave out the measurement of time and memory")


def command(options: argparse.Namespace) -> None:
    """Plan, check, measure, print."""
    import launch.stages  # noqa: F401  (registers the stages)
    from launch.checks import check_experiment
    from launch.context import pick_device
    from launch.planning import plan
    from launch.preflight import estimates
    from launch.stage import order

    config = read(options)
    order(config)
    budget = plan(config)
    check_experiment(config)
    costs = [] if options.no_measure else estimates(config, budget, pick_device(config))
    print(json.dumps(as_json(budget, costs), indent=2) if options.json else readable(budget, costs))


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


def readable(budget: BudgetPlan, costs: list[Estimate]) -> str:
    """The plan for a person."""
    rows = [["mechanism", "noise multiplier", "sampling rate", "steps", "sensitivity", "ε alone"]]
    for row in budget.rows():
        rows.append(
            [
                row["name"],
                f"{row['noise_multiplier']:.4f}",
                f"{row['sampling_rate']:.4f}",
                str(row["steps"]),
                f"{row['sensitivity']:.4g}",
                f"{row['epsilon_alone']:.4f}",
            ]
        )
    composed = ", ".join(
        f"{name.upper()} ε = {budget.composed(name):.4f}" + (" (calibrated)" if name == budget.accountant else "")
        for name in ("rdp", "prv")
    )
    lines = [
        f"budget: ε = {budget.epsilon:g}, δ = {budget.delta:.3g}, n = {budget.n}; one record added or removed",
        "",
        table(rows),
        "",
        f"composed: {composed}; left: {budget.remaining:.4f}",
    ]
    if costs:
        rows = [["stage", "time", "peak memory", "basis"]]
        rows += [
            [cost.stage, f"{cost.seconds:.0f} s", f"{cost.peak_bytes / 2**30:.2f} GiB", cost.basis] for cost in costs
        ]
        total = sum(cost.seconds for cost in costs)
        lines += ["", table(rows), f"together about {total:.0f} s; evaluation and reading of images come on top"]
    return "\n".join(lines)
