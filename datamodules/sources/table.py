"""A folder of images whose categories are in a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from configs.components.sources import TableConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.files_error import FilesError
from datamodules.reading.label_table import Row, declared, read_rows
from datamodules.reading.labelled_files import LabelledFiles, read_files
from datamodules.reading.listing import existing, falls_to_testing
from datamodules.sets.image_set import ImageSet
from datamodules.sources.source import SOURCES


@SOURCES.register(TableConfig)
class Table:
    """Your own images in one folder, their categories in a table (CSV or JSON lines).

    The categories are declared, because one that a single row has would otherwise say that this record is there.

    Raises:
        UserError: if the folder or the categories are not given.
    """

    folders: tuple[Path, ...] = ()

    def __init__(self, config: TableConfig, image: Image) -> None:
        self.config = config
        self.image = image
        self.public_benchmark = config.public_benchmark
        self.root = existing(config.root, "root")
        self.test_root = existing(config.test_root, "test_root") if config.test_root else self.root
        self.class_names = declared(config.classes)

    def size(self) -> int:
        """Number of training records: `count`, or the number of training rows; opens no image."""
        return len(self._train.names) if self.config.count is None else self.config.count

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images; may be empty. FilesError for files that cannot be read, unless they are skipped."""
        return self._read(self._train, "labels_file", progress)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images, at least one.

        Raises:
            FilesError: for files that cannot be read, unless they are skipped.
            UserError: if there is no image.
        """
        key_name = "test_labels_file" if self.config.test_labels_file else "test_fraction"
        images = self._read(self._test, key_name, progress)
        if not len(images):
            raise UserError(f"{key_name}: no image is left for this split. Give more rows, or another share of them.")
        return images

    def paths(self, *, test: bool) -> list[Path]:
        """The image files."""
        return (self._test if test else self._train).paths()

    @cached_property
    def _train(self) -> LabelledFiles:
        return self._files(self.root, self._rows(testing=False), "labels_file")

    @cached_property
    def _test(self) -> LabelledFiles:
        if self.config.test_labels_file:
            return self._files(
                self.test_root, self._table(self.config.test_labels_file, "test_labels_file"), "test_labels_file"
            )
        return self._files(self.root, self._rows(testing=True), "labels_file")

    def _rows(self, *, testing: bool) -> list[Row]:
        rows = self._table(self.config.labels_file, "labels_file")
        if self.config.test_labels_file:
            return rows
        return [row for row in rows if falls_to_testing(row.file, self.config.test_fraction) == testing]

    def _table(self, path: str, key_name: str) -> list[Row]:
        if not path:
            raise UserError(f"{key_name}: not given. Give a .csv or .jsonl file with a row per image.")
        return read_rows(Path(path), self.config.file_column, self.config.label_column, key_name)

    def _files(self, root: Path, rows: Sequence[Row], key_name: str) -> LabelledFiles:
        index = {name: place for place, name in enumerate(self.class_names)}
        strange = [row.file for row in rows if row.label not in index]
        if strange:
            raise FilesError(
                f"{key_name}: rows whose category is not one of the declared ones",
                strange,
                "Add it to .classes=[…], or correct the rows.",
            )
        return LabelledFiles(root, [row.file for row in rows], [index[row.label] for row in rows])

    def _read(self, files: LabelledFiles, key_name: str, progress: bool) -> ImageSet:
        skip, bits = self.config.corrupt == "skip", self.config.bits
        return read_files(files, self.class_names, self.image, key_name, skip=skip, progress=progress, bits=bits)
