"""`privimage ledger`: verify a run's ledger and print what was spent."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from accounting.statements import delta_text, epsilon_text, noise_text, rate_text, target_text
from launch.console import table

DESCRIPTION = """\
Checks every line of a run's ledger against the hash of the one before, and the whole against what finished stages, the
query's answer and the release know of it, then prints the charged mechanisms and the composed epsilon.

  privimage ledger demo                       a run by its name
  privimage ledger copy/ledger.jsonl --json   a file, for a program
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "ledger",
        help="verify a run's ledger and print its epsilon",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="name or folder of a run, or a ledger file")
    parser.add_argument("--root", default="runs", help="folder that holds the runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Verify, compose, print."""
    from accounting.composition import alone
    from accounting.ledger import Ledger
    from launch.run.directory import RunDirectory, find_run

    given = Path(options.run)
    directory = RunDirectory(given.parent) if given.is_file() else find_run(options.run, options.root)
    ledger = Ledger.read(given if given.is_file() else directory.ledger)
    for head in directory.known_heads():
        ledger.require(head)
    kept = bool(ledger.mechanisms()) or not ledger.terms["insecure"]  # without noise nothing was charged, nor kept
    report = {
        "epsilon": ledger.epsilon() if kept else None,
        "delta": ledger.terms["delta"],
        "accountant": ledger.terms["accountant"],
        "target_epsilon": ledger.terms["epsilon"],
        "insecure": ledger.terms["insecure"],
        "epsilon_by_accountant": {name: ledger.epsilon(name) if kept else None for name in ("rdp", "prv")},
        "groups": ledger.groups() if kept else [],
        "mechanisms": [
            {**mechanism.to_dict(), "epsilon_alone": alone(mechanism, ledger.terms["delta"]), "release_id": name}
            for mechanism, name in zip(ledger.mechanisms(), ledger.release_ids(), strict=True)
        ],
        "lines": len(ledger.entries),
        "head": ledger.head,
    }
    print(json.dumps(report, indent=2) if options.json else readable(report))


def readable(report: dict[str, Any]) -> str:
    """The report for a person; no epsilon is shown as less than it is."""
    rows = [["mechanism", "noise multiplier", "sampling rate", "steps", "ε by itself", "release id"]]
    for row in report["mechanisms"]:
        rows.append(
            [
                row["name"],
                noise_text(row["noise_multiplier"]),
                rate_text(row.get("sampling_rate", 1.0)),
                str(row.get("steps", row.get("rounds", 1))),
                epsilon_text(row["epsilon_alone"]),
                row["release_id"][:16],
            ]
        )
    lines = [f"{report['lines']} lines, chain intact, head {report['head'][:16]}…", "", table(rows), ""]
    if report["epsilon"] is not None:
        every = report["epsilon_by_accountant"].items()
        composed = ", ".join(f"{name.upper()} {epsilon_text(value)}" for name, value in every)
        spent, target = epsilon_text(report["epsilon"]), target_text(report["target_epsilon"])
        lines.append(f"ε = {spent} of {target} at δ = {delta_text(report['delta'])} ({composed})")
        together = ", ".join(f"{row['records']} records ε = {epsilon_text(row['epsilon'])}" for row in report["groups"])
        lines.append(f"several records of one person, at the same δ: {together}")
    if report["insecure"]:
        lines.append("NOT PRIVATE: this run used a fixed key, or no noise at all.")
    return "\n".join(lines)
