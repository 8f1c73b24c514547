"""Reading batches of a `.beton` with FFCV's loader: compiled copying, ahead of training, in a separate thread."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import groupby, islice
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError

SEGMENT = 256  # batches that one of FFCV's iterators gets; it holds all their indices in memory


def ffcv_installed() -> bool:
    """Whether FFCV is installed; imports nothing."""
    return importlib.util.find_spec("ffcv") is not None


class FfcvReading:
    """FFCV's Loader for one file, compiled once, for batches of any size in any order.

    FFCV makes its own order from the number of an epoch and accepts no other, so a resume within an epoch would not be
    exact. Therefore its epoch iterator is driven directly with our rows. The file is memory-mapped (FFCV's os_cache):
    all processes of a machine share the pages that are in memory, and of a larger file the pages used last stay there.
    FFCV's own cache of pages would hold the whole file once per process, because a shuffled batch touches most pages.

    Args:
        path: the `.beton` file.
        image_shape: (C, H, W) of its images.

    Raises:
        UserError: if FFCV cannot be loaded.
    """

    def __init__(self, path: Path, image_shape: tuple[int, ...]) -> None:
        self.shape = image_shape
        with _torch_threads_kept():
            try:
                from ffcv.fields.ndarray import NDArrayDecoder
                from ffcv.loader import Loader
            except (ImportError, OSError) as error:  # not installed, or without its system libraries
                raise UserError(
                    f"launch.reader: FFCV cannot be loaded ({error}). Install it (`pip install -e '.[ffcv]'`, "
                    "with OpenCV and libjpeg-turbo), or read the same batches with launch.reader=plain."
                ) from error
            pipelines = {"image": [NDArrayDecoder()], "label": None, "name_hash": None}
            self.loader = Loader(
                str(path), batch_size=1, num_workers=_threads(), os_cache=True, seed=0, pipelines=pipelines
            )
        manager = self.loader.memory_manager  # its tables only serve FFCV's own cache: 0.5 GB per process for ImageNet
        for table in (manager.sample_to_pages, manager.page_to_samples, manager.ptr_to_size):
            table.clear()

    def read_ahead(self, rows: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """The images at each of these rows (int64 [B]): uint8 [B, C, H, W], which the caller may modify."""
        for size, same_size in groupby(rows, len):
            if not size:
                yield from (torch.empty((0, *self.shape), dtype=torch.uint8) for _ in same_size)
            while segment := list(islice(same_size, SEGMENT)):
                yield from self._segment(np.concatenate(segment), size)

    def _segment(self, order: np.ndarray, size: int) -> Iterator[Tensor]:
        """Batches of one size; the thread that reads them has ended when this generator ends."""
        with _torch_threads_kept():
            self.loader.batch_size, self.loader.num_workers = size, _threads()
            iterator = _ending_iterator()(self.loader, order)
        try:
            for (images,) in iterator:
                yield torch.from_numpy(images.copy())  # FFCV reuses its buffers; a copy by torch would use all threads
        finally:
            iterator.end()
        if iterator.failure is not None:
            raise iterator.failure


@cache
def _ending_iterator() -> Any:
    """A class: FFCV's iterator over an order of rows, whose thread can be ended and does not fail silently."""
    from ffcv.loader.epoch_iterator import EpochIterator

    class Ending(EpochIterator):
        failure: BaseException | None = None

        def run(self) -> None:
            try:
                super().run()
            except BaseException as error:  # otherwise the reader of the queue would wait forever
                self.failure = error
                self.output_queue.put(None)

        def end(self) -> None:
            """Stop after the batch that is being read, and wait until the thread has ended."""
            self.iter_ixes = iter(())
            while self.is_alive():
                with suppress(Empty):  # the thread may be waiting for space in the queue
                    self.output_queue.get_nowait()
                self.join(timeout=0.01)
            self.close()

    return Ending


def _threads() -> int:
    """A number of threads that FFCV may set for both torch and Numba."""
    from numba import config

    return min(torch.get_num_threads(), config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


@contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """Restore torch's number of threads, which FFCV changes, even when it is imported."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
