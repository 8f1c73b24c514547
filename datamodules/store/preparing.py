"""Making a store from a folder of images, once, at the training resolution."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from configs.errors import UserError
from configs.files import atomic_json
from configs.schema import Image
from datamodules.progress import track
from datamodules.reading.class_folders import ClassFolders
from datamodules.reading.data_loading import read_ahead
from datamodules.reading.listing import NAMED, named
from datamodules.store.beton import Layout
from datamodules.store.beton_writer import BetonWriter
from datamodules.store.imagenet_layout import LAYOUTS, class_names
from datamodules.store.store import Store, StoreInfo, side_file

CHUNK = 64  # files that a worker decodes in one call


def prepare(
    layout: str,
    source: Path,
    image: Image,
    path: Path,
    *,
    workers: int = 0,
    corrupt: str = "refuse",
    progress: bool = True,
) -> StoreInfo:
    """Write a store and its side file from the images of a folder; resumes where an earlier call was stopped.

    Images are decoded and resized as the source `folder` does. They are in the order of the files' paths, so that two
    stores of the same files are the same to the last byte. An existing store of the same files is left as it is.

    Args:
        layout: one of LAYOUTS, how the folder is organised.
        source: the folder.
        image: resolution and number of channels of the store.
        path: the `.beton` file to write.
        workers: processes that decode; 0: only this process.
        corrupt: `refuse` or `skip` files that cannot be read.
        progress: whether to show a progress bar.

    Returns:
        What the side file says.

    Raises:
        UserError: if there is no such folder, a category has no readable image, a file cannot be read (with `refuse`),
            the disk is full, or `path` exists and is another file.
    """
    if not source.is_dir():
        raise UserError(
            f"--source: no folder at '{source}'. Give the folder that holds a sub-folder of images per category."
        )
    root, names = LAYOUTS[layout](source)
    files = ClassFolders(root, image, "--source", public=True)
    if files.empty_categories:
        raise UserError(
            f"--source: category '{files.empty_categories[0]}' has no images. Put its images there, or remove the "
            "sub-folder."
        )
    writer = BetonWriter(path, Layout(image.shape, len(files.files)), files.fingerprint)
    if side_file(path).exists() or (path.exists() and not writer.note.exists()):
        return _finished(path, files)
    with writer:
        _check_space(writer)
        _write_images(writer, files, workers, corrupt, progress)
        kept = np.delete(np.arange(len(files.files)), writer.progress.unreadable)
        labels = files.labels[kept]
        counts = np.bincount(labels, minlength=len(files.categories))
        _check_counts(files, counts)
        size = writer.finish(labels, files.name_hashes[kept].view(np.int64))
        skipped = files.names(writer.progress.unreadable)
    info = StoreInfo(
        count=len(kept),
        resolution=image.resolution,
        channels=image.channels,
        bytes=size,
        class_names=class_names(files.categories, names),
        categories=files.categories,
        counts=tuple(counts.tolist()),
        source=str(root.resolve()),
        skipped=tuple(skipped),
        fingerprint=files.fingerprint,
        linked=files.linked,
    )
    atomic_json(side_file(path), info.to_dict())
    writer.forget()
    return info


def _finished(path: Path, files: ClassFolders) -> StoreInfo:
    """The info of an existing store, if it was made from the same files; UserError for any other file."""
    other = "Give another --output, or remove it and its side file."
    if not side_file(path).exists():
        raise UserError(f"--output: '{path}' exists and is not a finished store: it has no side file. {other}")
    if not path.exists():
        raise UserError(f"--output: '{side_file(path)}' exists without its store. {other}")
    try:
        info = StoreInfo.read(path)
        if info.fingerprint == files.fingerprint:
            return Store(path, files.image).info
    except UserError as error:
        raise UserError(f"--output: {error.reason}") from error
    raise UserError(
        f"--output: '{path}' holds other images ({info.count} of {info.resolution}x{info.resolution} in "
        f"{info.channels} channel(s), from '{info.source}' as it was then). {other}"
    )


def _check_space(writer: BetonWriter) -> None:
    needed, free = writer.free_space_needed(), shutil.disk_usage(writer.path.parent).free
    if needed > free:
        raise UserError(
            f"--output: '{writer.path}' will need {needed / 2**30:.2f} GiB more, and {free / 2**30:.2f} GiB are "
            "free. Free some space, or give another --output."
        )


def _write_images(writer: BetonWriter, files: ClassFolders, workers: int, corrupt: str, progress: bool) -> None:
    """Decode the remaining files and append them. What is done stays, no matter how this ends."""
    total, before = len(files.files), writer.progress.done
    chunks = [np.arange(first, min(first + CHUNK, total)) for first in range(before, total, CHUNK)]

    def images() -> Iterator[int]:
        for pixels, readable in read_ahead(files.decoded, chunks, workers):
            writer.append(pixels.numpy(), readable.numpy())
            yield from range(len(pixels))

    try:
        for _ in track(
            images(), f"preparing {writer.path.name}", total=total, unit="image", start=before, show=progress
        ):
            if corrupt == "refuse" and len(writer.progress.unreadable) > NAMED:
                break  # enough to list
    finally:
        writer.keep()
    if not writer.progress.unreadable:
        return
    bad = named(files.names(writer.progress.unreadable[: NAMED + 1]))
    if corrupt == "refuse":
        raise UserError(
            f"--source: files that cannot be read as images: {bad}. Fix or remove them, or repeat the command with "
            "--corrupt skip; it resumes from here."
        )
    warnings.warn(f"--source: {len(writer.progress.unreadable)} unreadable files are left out: {bad}", stacklevel=3)


def _check_counts(files: ClassFolders, counts: np.ndarray) -> None:
    """Raise UserError if no image of a category could be read: that is a mistake, not a category."""
    if not counts.all():
        empty = [name for name, count in zip(files.categories, counts, strict=True) if not count]
        raise UserError(f"--source: no image of {named(empty)} could be read. Fix the files, or remove the sub-folder.")
