"""MNIST's training images in two parts, as the four idx files of a data set: for tuning without the test images.

    python -m benchmarks.mnist_holdout FOLDER TARGET

The first 50 000 training images of FOLDER become the training set in TARGET, the last 10 000 its test set.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

HELD = 10_000
HEADER = {"images-idx3": 16, "labels-idx1": 8}
ITEM = {"images-idx3": 28 * 28, "labels-idx1": 1}


def read(folder: Path, name: str) -> bytes:
    """A file, packed or not."""
    packed = folder / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.is_file() else (folder / name).read_bytes()


def main(source: Path, target: Path) -> None:
    """Write both parts."""
    target.mkdir(parents=True, exist_ok=True)
    for kind, start in HEADER.items():
        content = read(source, f"train-{kind}-ubyte")
        header, items = content[:start], content[start:]
        cut = len(items) - HELD * ITEM[kind]
        for part, data in (("train", items[:cut]), ("t10k", items[cut:])):
            count = (len(data) // ITEM[kind]).to_bytes(4, "big")
            (target / f"{part}-{kind}-ubyte").write_bytes(header[:4] + count + header[8:] + data)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
