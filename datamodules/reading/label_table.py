"""A table that gives the category of each image file: CSV with a header, or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from configs.errors import UserError

SUFFIXES = (".csv", ".jsonl")


class Row(NamedTuple):
    """One image."""

    file: str
    """Its file, as the table names it."""
    label: str
    """Its category."""


def read_rows(path: Path, file_column: str, label_column: str, key_name: str) -> list[Row]:
    """The files and categories of a table, in its order.

    Args:
        path: the table.
        file_column: column with the names of the files.
        label_column: column with the categories. Numbers are read as text.
        key_name: the key that gave the table, for messages.

    Returns:
        A row per image; no file twice.

    Raises:
        UserError: if the table cannot be read, lacks a column or a value, or names a file twice. It names lines, not
            files.

    Sensitive: the rows are, if the images are.
    """
    rows: list[Row] = []
    seen: set[str] = set()
    for number, record in records(path, key_name):
        missing = [column for column in (file_column, label_column) if record.get(column) in (None, "")]
        if missing and number == first_line(path):
            raise UserError(
                f"{key_name}: '{path}' has no column '{missing[0]}' (it has {', '.join(map(str, record))}). "
                "Give the right ones as file_column and label_column."
            )
        if missing:
            raise UserError(f"{key_name}: '{path}', line {number}: there is no '{missing[0]}'. Complete or remove it.")
        row = Row(str(record[file_column]), str(record[label_column]))
        if row.file in seen:
            raise UserError(f"{key_name}: '{path}', line {number}: that file has a row already. Remove one of the two.")
        seen.add(row.file)
        rows.append(row)
    return rows


def declared(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of categories that `classes` declares.

    Raises:
        UserError: if there is none, or one is there twice.
    """
    names = tuple(map(str, classes))
    if not names:
        raise UserError(
            "classes: not given. Name every category, such as classes=[cat,dog]; `privimage init` lists them."
        )
    if len(set(names)) < len(names):
        raise UserError(f"classes: got {list(names)!r}; each name may be there once.")
    return names


def columns(path: Path, key_name: str) -> list[str]:
    """The names of a table's columns, from its first record."""
    return [str(name) for name in next((record for _, record in records(path, key_name)), {})]


def first_line(path: Path) -> int:
    """The line of the first record: a CSV has a header before it."""
    return 2 if path.suffix.lower() == ".csv" else 1


def records(path: Path, key_name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a table, each with the number of its line.

    Raises:
        UserError: if the file is missing or is no such table.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{key_name}: '{path}' is neither a .csv nor a .jsonl file.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from reader(file)
    except FileNotFoundError as error:
        raise UserError(
            f"{key_name}: there is no file '{path}'. Give the table of file names and categories."
        ) from error
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{key_name}: '{path}' cannot be read: {error}. Save it as UTF-8 text.") from error


def _csv(file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(file)
    for record in reader:
        record.pop(None, None)  # more values than columns
        yield reader.line_num, record


def _json_lines(file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError(f"line {number} is no JSON object")
        yield number, record


READERS = {".csv": _csv, ".jsonl": _json_lines}
