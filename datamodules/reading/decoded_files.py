"""Decoding many image files at once, with threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from configs.schema import Image
from datamodules.progress import track
from datamodules.reading.decoding import decode, silent_decoders


def decode_files(
    paths: Sequence[Path],
    image: Image,
    title: str,
    *,
    progress: bool,
    most_unreadable: int | None = None,
    bits: int | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Decode image files, as `decode` does.

    Args:
        paths: N files.
        image: the shape that images are brought to.
        title: what the progress bar says.
        progress: whether to show a progress bar.
        most_unreadable: reading stops once more files than this are unreadable, since there are enough to list.
            Default: all files are read.
        bits: how many bits of deeper gray images are in use; None for what each file says.

    Returns:
        Images, uint8 [N, C, resolution, resolution]; whether each file could be read, bool [N]; and why each of the
        others could not, by its number.
    """
    reasons: dict[int, str] = {}
    images = np.empty((len(paths), *image.shape), np.uint8)
    readable = np.ones(len(paths), dtype=bool)

    def load(index: int) -> bool:
        try:
            images[index] = decode(paths[index], image, bits)
        except OSError as error:
            readable[index] = False
            reasons[index] = reason(error, paths[index])
        return bool(readable[index])

    with silent_decoders(), ThreadPool(min(8, os.cpu_count() or 1)) as pool:
        results = pool.imap(load, range(len(paths)), chunksize=16)
        for done in track(results, title, total=len(paths), unit="image", show=progress):
            if not done and most_unreadable is not None and np.count_nonzero(~readable) > most_unreadable:
                break
    return images, readable, reasons


def reason(error: OSError, path: Path) -> str:
    """Why a file cannot be read, in a line without its path."""
    text = error.strerror or str(error)
    for known in (f"{path}: ", f" '{path}'", f" {str(path)!r}", str(path)):
        text = text.replace(known, "")
    return " ".join(text.split()) or type(error).__name__
