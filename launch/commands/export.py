"""`privimage export`: the released images in a format that other programs read."""

from __future__ import annotations

import argparse
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.files import atomic_text, unwritable

DESCRIPTION = """\
Writes the images of a release as PNG files, in one folder per category, which torchvision's ImageFolder, Hugging Face's
load_dataset and most other programs read; or as one Parquet file. PRIVACY.md, which states the guarantee, and a data
card (README.md) go with them. Nothing sensitive is read.

  privimage export demo synthetic-digits                       a run of yours, by its name
  privimage export downloads/release images --format parquet   a release that you were given
"""
FORMATS = ("imagefolder", "parquet")  # those of launch/run/exporting.py, which imports what takes seconds


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write the released images as files",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="name or folder of a run, or a release folder")
    parser.add_argument("folder", type=Path, help="new folder to write to")
    parser.add_argument(
        "--format", choices=FORMATS, default="imagefolder", help="layout of the files; parquet needs pyarrow"
    )
    parser.add_argument("--images", type=Path, help="another .npz file of the run (default: release/synthetic.npz)")
    parser.add_argument("--root", default="runs", help="folder that holds the runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(command=command)


def given_images(path: Path) -> Any:
    """The images of a file that was given."""
    from launch.run.release import read_images

    try:
        return read_images(path)
    except UserError as error:
        raise UserError(f"--images: cannot read '{path}'. Give an .npz file that privimage wrote.") from error


def command(options: argparse.Namespace) -> None:
    """Read the release, write the files."""
    if options.folder.exists() and (not options.folder.is_dir() or any(options.folder.iterdir())):
        raise UserError(f"'{options.folder}' is not an empty folder. Give a new one.")
    from launch.run import exporting
    from launch.run.card import card
    from launch.run.file_times import settle
    from launch.run.release import read_images
    from launch.run.released import find_release

    found = find_release(options.run, options.root)
    release, notice = found.folder, found.notice
    images = read_images(release / "synthetic.npz") if options.images is None else given_images(options.images)
    try:
        chosen = exporting.FORMATS[options.format]
        chosen.write(images, options.folder)
        atomic_text(options.folder / "README.md", card(images, found.statement, chosen.layout))
        shutil.copy(release / "PRIVACY.md", options.folder)  # the images should not travel without it
    except OSError as error:
        raise unwritable(options.folder, error) from error
    report = {
        "folder": str(options.folder),
        "count": len(images),
        "format": options.format,
        "private": notice is None,
    }
    if notice:
        (options.folder / "NOT_PRIVATE.txt").write_text(notice + "\n")
        warnings.warn(notice, stacklevel=2)
    settle(options.folder)
    print(json.dumps(report, indent=2) if options.json else f"{len(images)} images in {options.folder}")
