"""`privimage init`: a configuration for one's own images, with a reason for every setting."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from configs.errors import UserError

DESCRIPTION = """\
Writes a commented configuration for a set of your own images, of a size that this machine finishes in --minutes. It
looks at the names of files and folders (and at the table of labels, if there is one), and opens no image unless you
give --look. Settings are chosen by n, the number of categories, the resolution, epsilon and the time; docs/your-data.md
has them as a table. How fast the machine is, is measured with a few batches of public images.

  privimage init scans --public photographs --look     writes scans.yaml
  privimage run scans.yaml                             does the work

Known layouts: CLASS/*; train|valid|test/CLASS/*; images with a table of labels (metadata.csv, .jsonl or any .csv with
columns such as file_name and label), also one for each split; MNIST's idx files; an .npz file as of MedMNIST.
"""
MINUTES = 30.0


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "init",
        help="write a configuration for your own images",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the sensitive images: a folder, or an .npz file")
    parser.add_argument(
        "--public",
        metavar="FOLDER|FILE.beton|glyphs",
        default="glyphs",
        help="public images to learn from first, without any sensitive one: a folder with a sub-folder per category, a "
        "store of `privimage prepare`, or rendered characters (default), which teach little about photographs",
    )
    parser.add_argument("--epsilon", type=float, default=10.0, metavar="E", help="the whole budget (default: 10)")
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="M", help="time of a run (default: 30)")
    parser.add_argument("--resolution", type=int, metavar="R", help="height and width of all images, in pixels")
    parser.add_argument("--channels", type=int, choices=(1, 3), help="1: gray, 3: colour")
    parser.add_argument(
        "--look",
        action="store_true",
        help="READ the size and kind of one sensitive image, the first by name, to propose a resolution and channels",
    )
    parser.add_argument(
        "--gpu", action="store_true", help="the run will have a GPU; measured only if there is one here"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to write (default: NAME-OF-FOLDER.yaml)")
    parser.add_argument(
        "--no-measure", action="store_true", help="assume a usual machine instead of measuring this one"
    )
    parser.add_argument("--json", action="store_true", help="print what was found and chosen as JSON")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Look, choose, write, say."""
    check(options)
    from launch import components
    from launch.proposal.draft import one_line
    from launch.proposal.proposing import Request, propose, run_name

    components.load()
    output = options.output or Path(f"{run_name(options.folder)}.yaml")
    if output.exists():
        raise UserError(f"'{output}' exists already. Remove it, or give another file with --output.")
    asked = {key: value for key, value in vars(options).items() if key in Request.__dataclass_fields__}
    made = propose(Request(measure=not options.no_measure, **asked))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(made.text, encoding="utf-8")
    if options.json:
        facts: dict[str, Any] = {
            "file": str(output),
            "source": made.found.source,
            "class_names": made.found.class_names,
        }
        facts |= {"training": made.found.records, "testing": made.found.tests, "remarks": made.draft.remarks}
        print(json.dumps(facts | {"settings": {choice.key: choice.value for choice in made.chosen}}, indent=2))
        return
    for remark in made.draft.remarks:
        print(f"  {one_line(remark)}", file=sys.stderr)
    print(f"wrote {output}; look at it, then: privimage run {output}")


def check(options: argparse.Namespace) -> None:
    """Check the options, before anything that takes time."""
    for option, least in (("epsilon", 0), ("minutes", 0), ("resolution", 3)):
        value = getattr(options, option)
        if value is not None and not least < value < 1e6:
            raise UserError(f"--{option}: got {value:g}; allowed is more than {least}.")
