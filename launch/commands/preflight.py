"""`privimage preflight`: the budget plan and what the run will take, before any sensitive image is read."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from configs.errors import UserError
from launch.commands.experiment import add_experiment, read

DESCRIPTION = """\
Checks an experiment and prints its plan: every mechanism with its noise multiplier, what it costs by itself and
composed, and the time and memory of each stage, estimated from a few batches of public images. Reads no sensitive image
unless you give --overlap: then all images are read, to count the sensitive ones among the public ones. That count is
not private, and no guarantee covers it.

For a job with several devices, run it on one of them (on a node of the cluster) and say how many there will be. Each
stage is measured with one device's part of a batch; the time to send gradients is computed from the bandwidth.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(
        commands, "preflight", "check an experiment, print its plan and its cost", DESCRIPTION, command
    )
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="devices of the job, on all machines together (default: launch.devices)",
    )
    parser.add_argument(
        "--bandwidth", type=float, default=10.0, metavar="GB/S", help="between the machines (default: 10, 100 Gbit/s)"
    )
    parser.add_argument("--no-measure", action="store_true", help="do not measure time and memory")
    parser.add_argument(
        "--overlap",
        action="store_true",
        help="READ the sensitive images, and count those that have the pixels of a public one (not private)",
    )


def command(options: argparse.Namespace) -> None:
    """Plan, check, measure, print."""
    config = read(options)
    devices = config.launch.devices if options.devices is None else options.devices
    if devices < 1 or not options.bandwidth > 0:
        raise UserError(
            f"--devices, --bandwidth: got {options.devices} and {options.bandwidth}; allowed is 1 or more, and above 0."
        )
    from launch import components
    from launch.preflight.checked_setup import set_up
    from launch.preflight.estimates import estimates
    from launch.preflight.measuring import Job
    from launch.preflight.other_accountant import less_noise
    from launch.preflight.pages import as_json, readable
    from launch.preflight.shared_pixels import overlap
    from launch.processes.device import pick_device

    components.load()
    setup = set_up(config)
    job = Job(devices, options.bandwidth * 1e9)
    costs = [] if options.no_measure else estimates(setup, pick_device(config), job)
    budget, notice = setup.plan, setup.guarantee.notice
    spared = less_noise(budget)
    found = overlap(setup, progress=not options.json) if options.overlap else None
    report = as_json(budget, costs) | {"devices": devices, "private": notice is None}
    report |= {"less_noise": asdict(spared) if spared else None}
    if options.json:
        print(json.dumps(report | ({"overlap": found.to_dict()} if found else {}), indent=2))
    else:
        print("\n".join([readable(budget, costs, devices, notice, spared), *(["", *found.lines()] if found else [])]))
