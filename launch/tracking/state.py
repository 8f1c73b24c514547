"""What the dashboards of a run have got so far: a small file in `internal/`."""

from __future__ import annotations

import json
import secrets
import string
from pathlib import Path
from typing import Any

from configs.files import atomic_json

LETTERS = string.ascii_lowercase + string.digits


class TrackingState:
    """A run's id on a server and, for each destination, the stages that it got live and the results that it got.

    A damaged file counts as missing: dashboards then get a new run.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self.values: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.values = {}

    @property
    def run_id(self) -> str:
        """The id under which the run is known. It stays the same when the run is stopped and continued."""
        if "run_id" not in self.values:
            self.values["run_id"] = "".join(secrets.choice(LETTERS) for _ in range(8))
            self._write()
        return self.values["run_id"]

    def shown_live(self, destination: str, stage: str) -> bool:
        """Whether a destination got the curves of a stage while it worked."""
        return stage in self.values.get("live", {}).get(destination, [])

    def mark_live(self, destination: str, stage: str) -> None:
        """Record that a destination gets the curves of a stage while it works."""
        if not self.shown_live(destination, stage):
            self.values.setdefault("live", {}).setdefault(destination, []).append(stage)
            self._write()

    def sent(self, destination: str) -> str | None:
        """The fingerprint of the results that a destination got last."""
        return self.values.get("sent", {}).get(destination)

    def mark_sent(self, destination: str, fingerprint: str) -> None:
        """Record the fingerprint of the results that a destination got."""
        self.values.setdefault("sent", {})[destination] = fingerprint
        self._write()

    def _write(self) -> None:
        atomic_json(self.path, self.values)
