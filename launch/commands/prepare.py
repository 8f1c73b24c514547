"""`privimage prepare`: make a store of public images at the training resolution, once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import UserError
from configs.schema import Image
from datamodules.store.imagenet_layout import LAYOUTS

if TYPE_CHECKING:
    from datamodules.store.store import StoreInfo

DESCRIPTION = """\
Decodes, crops and resizes every image of a public data set once, into a store that training reads by index at memory
speed: an FFCV file and, next to it, FILE.beton.json with the names of its categories. Keep the two together.

  privimage prepare imagenet --source ILSVRC2012 --resolution 32 --output imagenet32.beton
  privimage run EXPERIMENT public.name=imagenet public.store=imagenet32.beton image.resolution=32 image.channels=3

imagenet: the folder of the download (train/n01440764/*.JPEG, also Kaggle's ILSVRC/Data/CLS-LOC/train). Categories get
the first name of their synset if a list of them is there (LOC_synset_mapping.txt, synset_words.txt, words.txt). A
folder of class folders is used as it is. folder: any folder with one sub-folder per category.

An image takes resolution * resolution * channels + 48 bytes: ImageNet-1k 4.0 GB at 32, 15.8 GB at 64. After an
interruption the same command resumes where it was; an existing store is left as it is. FFCV is not needed here.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "prepare",
        help="write a store of public images, such as ImageNet, for fast reading",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("layout", choices=sorted(LAYOUTS), help="folder layout of --source")
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="folder of the data set")
    parser.add_argument("--resolution", type=int, required=True, help="height and width of every image, in pixels")
    parser.add_argument("--channels", type=int, choices=(1, 3), default=3, help="1: grayscale, 3: colour (default: 3)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.beton", help="store to write")
    parser.add_argument("--workers", type=int, help="processes that decode (default: one per core)")
    parser.add_argument(
        "--corrupt", choices=("refuse", "skip"), default="refuse", help="what to do with unreadable files"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only errors")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Check, write, report."""
    if options.resolution < 4:
        raise UserError(f"--resolution: got {options.resolution}; allowed is 4 or more.")
    if options.workers is not None and options.workers < 0:
        raise UserError(f"--workers: got {options.workers}; allowed is 0 or more.")
    if options.output.suffix != ".beton":
        raise UserError(f"--output: got '{options.output}'; the name of a store ends in .beton.")
    from datamodules.reading.data_loading import cores
    from datamodules.store.preparing import prepare
    from datamodules.store.store import side_file

    info = prepare(
        options.layout,
        options.source,
        Image(options.resolution, options.channels),
        options.output,
        workers=cores() if options.workers is None else options.workers,
        corrupt=options.corrupt,
        progress=not (options.quiet or options.json),
    )
    found = report(options.output, side_file(options.output), info)
    print(json.dumps(found, indent=2) if options.json else readable(options.output, info))


def report(path: Path, side_file: Path, info: StoreInfo) -> dict[str, Any]:
    """What was written, as plain values."""
    return {
        "store": str(path),
        "side_file": str(side_file),
        "images": info.count,
        "categories": len(info.class_names),
        "fewest_of_a_category": min(info.counts),
        "most_of_a_category": max(info.counts),
        "resolution": info.resolution,
        "channels": info.channels,
        "bytes": info.bytes,
        "skipped": list(info.skipped),
    }


def readable(path: Path, info: StoreInfo) -> str:
    """The same for a person."""
    return (
        f"{info.count} images of {len(info.class_names)} categories ({min(info.counts)} to {max(info.counts)} each), "
        f"{info.resolution}x{info.resolution} in {info.channels} channel(s), {info.bytes / 2**20:.1f} MiB in {path}\n"
        f"use it with public.name=imagenet public.store={path} image.resolution={info.resolution} "
        f"image.channels={info.channels}"
    )
