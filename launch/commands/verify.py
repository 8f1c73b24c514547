"""`privimage verify`: whether a release is what its privacy statement says."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

DESCRIPTION = """\
Composes epsilon again from the mechanisms that the privacy statement of a release lists, compares it with what is
stated, and checks the digests of the released files. Needs the release folder only. Ends with exit code 1 if the claim
is not right, a file is damaged, or there is no guarantee.

  privimage verify demo                  a run of yours, by its name
  privimage verify downloads/release     a release that you were given
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify",
        help="recompute epsilon of a release and check its files",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="release", help="a release folder, or the name or folder of a run")
    parser.add_argument("--root", default="runs", help="folder that holds the runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> int:
    """Check, print; 1 if something is wrong."""
    from launch import components
    from launch.run.released import find_release
    from launch.run.verifying import NOT_PROVEN, verify

    components.load()
    folder = find_release(options.run, options.root).folder
    verdict = verify(folder)
    if options.json:
        told = dataclasses.asdict(verdict)
        print(json.dumps({"release": str(folder), "ok": verdict.ok, **told, "not_proven": list(NOT_PROVEN)}, indent=2))
        return 0 if verdict.ok else 1
    lines = [f"WRONG: {text}" for text in verdict.wrong]
    lines += [f"right: {text}" for text in verdict.right]
    lines += [f"not checked: {text}" for text in verdict.unknown]
    lines += ["", "What this does not prove:", *(f"- {text}" for text in NOT_PROVEN), ""]
    lines.append(
        f"'{folder}' is what its statement says." if verdict.ok else f"'{folder}': do not rely on this release."
    )
    print("\n".join(lines))
    return 0 if verdict.ok else 1
