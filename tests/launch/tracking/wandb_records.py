"""Reads the offline files of a Weights & Biases run, record by record, with the message types in the package wandb."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768  # LevelDB's log format: blocks of records of (checksum, length, kind), after seven bytes of wandb's own
HEADER = struct.Struct("<IHB")
MAGIC = b":W&B\xe1\xbe\x00"
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Record]:
    """The records of a `.wandb` file in order."""
    data, position, parts = path.read_bytes(), len(MAGIC), b""
    assert data.startswith(MAGIC)
    while position + HEADER.size <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER.size:
            position += left
            continue
        _, length, kind = HEADER.unpack_from(data, position)
        position += HEADER.size + length
        parts += data[position - length : position]
        if kind in (FULL, LAST):
            yield Record.FromString(parts)
            parts = b""


class OfflineRun:
    """One start of a run, read from its offline files."""

    def __init__(self, folder: Path) -> None:
        (file,) = folder.glob("*.wandb")
        self.folder = folder
        self.records = list(records(file))

    def of(self, kind: str) -> list[Any]:
        """The records of a kind."""
        return [getattr(record, kind) for record in self.records if record.WhichOneof("record_type") == kind]

    @property
    def kinds(self) -> set[str]:
        return {record.WhichOneof("record_type") for record in self.records}

    @property
    def run(self) -> Any:
        return self.of("run")[0]

    @property
    def config(self) -> dict[str, Any]:
        return {item.key: json.loads(item.value_json) for item in self.run.config.update}

    @property
    def history(self) -> list[dict[str, Any]]:
        """Every logged row; nested names are joined by dots."""
        return [{name(item): json.loads(item.value_json) for item in row.item} for row in self.of("history")]

    @property
    def summary(self) -> dict[str, Any]:
        return {name(item): json.loads(item.value_json) for record in self.of("summary") for item in record.update}

    @property
    def axes(self) -> dict[str, str]:
        """The step axis of each metric, by its name or pattern."""
        return {metric.name or metric.glob_name: metric.step_metric for metric in self.of("metric")}

    def rows(self, metric: str) -> list[dict[str, Any]]:
        """The rows that have a metric."""
        return [row for row in self.history if metric in row]

    def table(self, title: str) -> list[dict[str, Any]]:
        """The rows of the table that was last logged under a name."""
        path = [row[f"{title}.path"] for row in self.history if f"{title}.path" in row][-1]
        content = json.loads((self.folder / "files" / path).read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]

    @property
    def metrics(self) -> set[str]:
        """The names of everything that was logged, without W&B's own."""
        return {key for row in self.history for key in row if not key.startswith("_")}

    @property
    def files(self) -> list[Path]:
        """The files that `wandb sync` would send in addition to the records."""
        return [path for path in (self.folder / "files").rglob("*") if path.is_file()]

    def text(self) -> str:
        """All records as text."""
        return "\n".join(map(str, self.records))


def name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def offline_runs(run: Path) -> list[OfflineRun]:
    """All starts of the run at Weights & Biases, oldest first."""
    folders = sorted((run / "internal" / "wandb").glob("offline-run-*"), key=lambda folder: folder.stat().st_mtime)
    return [OfflineRun(folder) for folder in folders]
