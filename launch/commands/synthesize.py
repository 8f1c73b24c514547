"""`privimage synthesize`: draw more images from a release, at no privacy cost."""

from __future__ import annotations

import argparse
import json
import secrets
import warnings
from pathlib import Path
from typing import Any

from configs.errors import UserError

DESCRIPTION = """\
Draws more synthetic images from a released model. Sampling is post-processing: it reads nothing sensitive and costs no
privacy budget, however many images are drawn. A copy of the folder release/ is enough: nothing else of the run is read.

  privimage synthesize demo --count 20000                 a run of yours, by its name
  privimage synthesize downloads/release --count 20000    a release that you were given
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "synthesize",
        help="draw more images from a run or a release, at no privacy cost",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="name or folder of a run, or a release folder")
    parser.add_argument("--count", type=int, required=True, help="number of images")
    parser.add_argument(
        "--output",
        type=Path,
        help=".npz file to write (default: synthetic-COUNT-SEED.npz in release/, or here for a release folder)",
    )
    parser.add_argument("--seed", type=int, help="seed of the draw (default: a new one each time)")
    parser.add_argument("--batch-size", type=int, default=500, help="images sampled at once (default: 500)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="of the network (default: the run's)")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile the network first (default: as the run did)",
    )
    parser.add_argument("--root", default="runs", help="folder that holds the runs (default: runs)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only errors")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Load the released model, sample, write."""
    for option in ("count", "batch_size"):
        if getattr(options, option) < 1:
            raise UserError(f"--{option.replace('_', '-')}: got {getattr(options, option)}; allowed is 1 or more.")
    if options.seed is not None and not 0 <= options.seed < 2**63:
        raise UserError(f"--seed: got {options.seed}; allowed is 0 … 2^63 - 1.")
    if options.output is not None and options.output.suffix != ".npz":
        raise UserError(f"--output: got '{options.output}'; give a name that ends in .npz.")
    import torch

    from configs.schema import Synthesize
    from datamodules.progress import track
    from launch import components
    from launch.run.file_times import settle
    from launch.run.release import write_images
    from launch.run.released import find_release, load_model
    from launch.stages.sampling import draw

    components.load()
    release = find_release(options.run, options.root)
    settings = Synthesize() if release.config is None else release.config.synthesize
    precision = options.precision or settings.precision
    compile = settings.compile if options.compile is None else options.compile
    model, names = load_model(release.folder)
    seed = options.seed if options.seed is not None else secrets.randbits(32)
    own = Path() if release.config is None else release.folder
    output = options.output or own / f"synthetic-{options.count}-{seed}.npz"
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    quiet = options.quiet or options.json
    drawn = draw(
        model,
        options.count,
        names,
        seed=seed,
        batch_size=options.batch_size,
        precision=precision,
        compiled=compile,
        progress=lambda parts, count: track(parts, "synthesize", total=count, unit="batch", show=not quiet),
    )
    notice = release.notice
    write_images(output, drawn.images, notice)
    settle(release.folder if output.resolve().is_relative_to(release.folder.resolve()) else output)
    report = {
        "path": str(output),
        "count": options.count,
        "seed": seed,
        "private": notice is None,
        "precision": precision,
        "compile": compile,
        "images_per_second": drawn.images_per_second,
        "compile_seconds": drawn.compile_seconds,
    }
    line = f"{options.count} images at {drawn.speed} in {output} (seed {seed})"
    print(json.dumps(report, indent=2) if options.json else line)
    if notice:
        warnings.warn(notice, stacklevel=2)
