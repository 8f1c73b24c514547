"""Small folders of classes, as files and as a store, for tests of reading from disk."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.schema import Image
from datamodules.store.preparing import prepare

CIFAR = Path(os.environ.get("PRIVIMAGE_CIFAR10_JPEG", Path(__file__).parents[3] / "shared" / "data" / "cifar10_jpeg"))
SYNSETS = ("n01440764", "n01443537", "n02012849", "n03126707")


def needs_ffcv() -> None:
    """Skip the test if FFCV cannot be loaded."""
    pytest.importorskip("ffcv", reason="FFCV is not installed: see tests/install_ffcv.sh")


def helpers() -> set[int]:
    """The threads and processes of this process that are alive."""
    threads = {thread.ident for thread in threading.enumerate()}
    return {number for number in threads if number} | {child.pid or 0 for child in multiprocessing.active_children()}


def gone_but(before: set[int]) -> bool:
    """Wait until only these helpers are left: the thread of a queue takes a moment to end after its queue is closed."""
    end = time.monotonic() + 20
    while helpers() - before and time.monotonic() < end:
        time.sleep(0.01)
    return not helpers() - before  # those of another test may have ended since


def write_classes(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Random pictures of mixed sizes, modes and formats, with the given number in each sub-folder."""
    rng = np.random.default_rng(seed)
    for category, count in counts.items():
        (root / category).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            height, width = rng.integers(9, 40, 2)
            gray = number % 3 == 0
            pixels = rng.integers(0, 256, (height, width) if gray else (height, width, 3), dtype=np.uint8)
            Pillow.fromarray(pixels).save(root / category / f"{number:03d}.{('JPEG', 'png')[number % 2]}")
    return root


def store_of(root: Path, path: Path, image: Image, **options: object) -> Path:
    """Make a store of such a folder; returns its path."""
    prepare("imagenet", root, image, path, progress=False, **options)  # type: ignore[arg-type]
    return path
