"""Images per second that training is given: a store read by FFCV, against torchvision's ImageFolder and a DataLoader.

Both read the same JPEG files of a folder of classes, with the same batch size and workers, and give the same: uint8
[B, C, H, W] tensors and int64 labels at the store's resolution, shuffled anew each epoch. torchvision decodes every
file in every epoch; the store was made from them once, by `privimage prepare`, whose time is told apart. Epochs of the
peers are interleaved; the first of each (imports, compiling, cold files) does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.dp_step import machine
from configs.schema import Image
from datamodules.batches.public import ShuffledBatches
from datamodules.reading.class_folders import ClassFolders
from datamodules.sets.image_set import Reading
from datamodules.sets.indexed_set import IndexedSet
from datamodules.store.ffcv_reading import ffcv_installed
from datamodules.store.preparing import prepare
from datamodules.store.store import Store

SOURCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10_jpeg"
Epoch = Callable[[int], Iterator[tuple[Tensor, Tensor]]]


def class_folders(source: Path, scratch: Path) -> Path:
    """The folder of classes that is given, or unpacked from the tar file that is, or from the one in the folder."""
    tars = [source] if source.is_file() else sorted(source.glob("*.tar"))
    if not tars:
        if not source.is_dir():
            sys.exit(f"no folder or tar file at '{source}'; give one of class folders with --source")
        return source
    with tarfile.open(tars[0]) as tar:
        tar.extractall(scratch / "images", filter="data")
    return scratch / "images"


def torchvision_epochs(root: Path, image: Image, batch: int, workers: int) -> Epoch:
    """ImageFolder and DataLoader as torchvision's users write them, with workers that stay."""
    side = image.resolution
    steps = [transforms.Resize(side), transforms.CenterCrop(side), transforms.PILToTensor()]
    dataset = ImageFolder(str(root), transforms.Compose(steps))
    loader: Any = DataLoader(
        dataset, batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    return lambda number: iter(loader)


def our_epochs(reader: Store | ClassFolders, batch: int, reading: Reading) -> Epoch:
    """The batches that the classifier and pre-training get."""
    names = tuple(map(str, range(int(reader.labels.max()) + 1)))
    images = IndexedSet(reader, np.arange(len(reader.labels)), reader.labels, names)
    steps = len(images) // batch

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        batches = ShuffledBatches(images, batch, steps * (number + 1), 0, start=steps * number, reading=reading)
        return ((pixels, labels) for _, pixels, labels in batches)

    return epoch


def rate(epoch: Epoch, number: int, shape: tuple[int, ...]) -> float:
    """Images per second of one epoch; checks that it gives what it should."""
    start, count = time.perf_counter(), 0
    for pixels, labels in epoch(number):
        assert pixels.dtype == torch.uint8 and pixels.shape[1:] == shape and labels.dtype == torch.int64
        count += len(pixels)
    return count / (time.perf_counter() - start)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Rates of all peers, the time of preparing, and what it was measured on."""
    root, image = class_folders(options.source, scratch), Image(options.resolution, 3)
    start = time.perf_counter()
    info = prepare("folder", root, image, scratch / "store.beton", workers=options.workers)
    prepared = time.perf_counter() - start
    store, files = Store(scratch / "store.beton", image), ClassFolders(root, image, "--source")
    peers = {
        "ffcv": our_epochs(store, options.batch_size, Reading(options.workers, "ffcv")),
        "torchvision": torchvision_epochs(root, image, options.batch_size, options.workers),
        "store without FFCV, in the process": our_epochs(store, options.batch_size, Reading(0, "plain")),
        "store without FFCV, workers": our_epochs(store, options.batch_size, Reading(options.workers, "plain")),
        "files without a store, workers": our_epochs(files, options.batch_size, Reading(options.workers, "plain")),
    }
    rates: dict[str, list[float]] = {name: [] for name in peers}
    for number in range(1 + options.rounds):
        for name, epoch in peers.items():
            rates[name].append(rate(epoch, number, image.shape))
    median = {name: statistics.median(values[1:]) for name, values in rates.items()}
    return {
        "ratio": median["ffcv"] / median["torchvision"],
        "ffcv": median["ffcv"],
        "torchvision": median["torchvision"],
        "images_per_second": median,
        "spread": {name: [min(values[1:]), max(values[1:])] for name, values in rates.items()},
        "first_epoch": {name: values[0] for name, values in rates.items()},
        "prepare_seconds": prepared,
        "bytes_per_image": info.bytes / info.count,
        "images": info.count,
        "batch_size": options.batch_size,
        "workers": options.workers,
        "resolution": options.resolution,
        "rounds": options.rounds,
        "machine": machine(torch.device("cpu")),
    }


def table(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [
        f"{result['machine']}",
        f"{result['images']} images at {result['resolution']}x{result['resolution']}, batches of "
        f"{result['batch_size']}, {result['workers']} workers, {result['rounds']} epochs after the first, interleaved",
        f"{'images/s':38}{'median':>10}{'min':>10}{'max':>10}{'first':>10}",
    ]
    for name, median in result["images_per_second"].items():
        low, high = result["spread"][name]
        lines.append(f"{name:38}{median:10,.0f}{low:10,.0f}{high:10,.0f}{result['first_epoch'][name]:10,.0f}")
    lines.append(f"ffcv / torchvision: {result['ratio']:.1f}")
    lines.append(f"preparing took {result['prepare_seconds']:.1f} s, {result['bytes_per_image']:.0f} bytes an image")
    return "\n".join(lines)


def main() -> None:
    """Print the table and, if asked, write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of class folders, or a tar of them")
    parser.add_argument("--resolution", type=int, default=32, help="of the store and of what is given (default: 32)")
    parser.add_argument("--batch-size", type=int, default=256, help="images a batch (default: 256)")
    parser.add_argument("--workers", type=int, default=2, help="of every peer that has workers (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="epochs after the first, of which the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result here too")
    options = parser.parse_args()
    if not ffcv_installed():
        sys.exit("FFCV is not installed: see tests/install_ffcv.sh")
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(options, Path(scratch))
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
