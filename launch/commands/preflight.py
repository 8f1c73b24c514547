"""`privimage preflight`: the budget plan and what the run will take, before any sensitive image is read."""

from __future__ import annotations

import argparse
import json
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
from configs.errors import UserError
from launch.commands.experiment import add_experiment, read
from launch.console import table
from launch.preflight.measuring import Estimate

DESCRIPTION = """\
Checks an experiment and prints its plan: every mechanism with its noise multiplier, what it costs alone and composed,
and the time and memory of each stage, from a few measured batches of public images. Reads no sensitive image, unless
--overlap asks for it: then all images are read, to count which sensitive ones are among the public ones. What it prints
of them is not private, and no guarantee covers it.

For a job of several devices, run it on one of them (on a node of the cluster) and say how many there will be: each
stage is measured with one device's part of a batch, and sending gradients is reckoned from the bandwidth.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(
        commands, "preflight", "check an experiment, print its plan and its cost", DESCRIPTION, command
    )
    parser.add_argument(
        "--devices", type=int, metavar="N", help="devices of the job, over all machines (default: launch.devices)"
    )
    parser.add_argument(
        "--bandwidth", type=float, default=10.0, metavar="GB/S", help="between the machines (default: 10, 100 Gbit/s)"
    )
    parser.add_argument("--no-measure", action="store_true", help="leave out the measurement of time and memory")
    parser.add_argument(
        "--overlap",
        action="store_true",
        help="READ the sensitive images, and count those that have the pixels of a public one (not private)",
    )


def command(options: argparse.Namespace) -> None:
    """Plan, check, measure, print."""
    import launch.stages  # noqa: F401  (registers the stages)
    from launch.preflight.checks import check_experiment
    from launch.preflight.estimates import estimates
    from launch.preflight.measuring import Job
    from launch.preflight.overlap import overlap
    from launch.preflight.planning import plan
    from launch.processes.device import pick_device
    from launch.run.guarantee import no_guarantee
    from launch.run.stage import order

    config = read(options)
    devices = config.launch.devices if options.devices is None else options.devices
    if devices < 1 or not options.bandwidth > 0:
        raise UserError("--devices must be 1 or more, --bandwidth above 0.")
    order(config)
    budget = plan(config)
    check_experiment(config)
    job = Job(devices, options.bandwidth * 1e9)
    costs = [] if options.no_measure else estimates(config, budget, pick_device(config), job)
    notice = no_guarantee(config)
    found = overlap(config, progress=not options.json) if options.overlap else None
    report = as_json(budget, costs) | {"devices": devices, "private": notice is None}
    if options.json:
        print(json.dumps(report | ({"overlap": found.to_dict()} if found else {}), indent=2))
    else:
        print("\n".join([readable(budget, costs, devices, notice), *(["", *found.lines()] if found else [])]))


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


def readable(budget: BudgetPlan, costs: list[Estimate], devices: int, notice: str | None) -> str:
    """The plan for a person. notice: why nothing of the run will be private, None where it will be."""
    lines = [notice, ""] if notice else []
    if budget.mechanisms:
        lines += budget_lines(budget)
    elif not notice:
        lines.append("budget: nothing is asked of the sensitive images, ε = 0")
    if costs:
        rows = [["stage", "time", "peak memory", "basis"]]
        rows += [
            [cost.stage, duration(cost.seconds), f"{cost.peak_bytes / 2**30:.2f} GiB", cost.basis] for cost in costs
        ]
        total = sum(cost.seconds for cost in costs)
        on = f" on {devices} devices like this one ({devices * total / 3600:.2g} device hours)" if devices > 1 else ""
        lines += [
            "",
            table(rows),
            f"together about {duration(total)}{on}; evaluation and reading of images come on top",
        ]
    return "\n".join(lines)


def budget_lines(budget: BudgetPlan) -> list[str]:
    """Every mechanism, and what they compose to."""
    rows = [["mechanism", "noise multiplier", "sampling rate", "steps", "sensitivity", "ε alone"]]
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


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
