"""What the dashboards of a run have been given so far: a small file in `internal/`."""

from __future__ import annotations

import json
import secrets
import string
from pathlib import Path
from typing import Any

from configs.files import atomic_json

LETTERS = string.ascii_lowercase + string.digits


class TrackingState:
    """A run's id on a server, and for each destination the stages it was shown live and the results it was sent.

    A damaged file is as good as none: dashboards then get a new run.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self.values: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.values = {}

    @property
    def run_id(self) -> str:
        """The id under which the run is known, the same however often it is stopped and continued."""
        if "run_id" not in self.values:
            self.values["run_id"] = "".join(secrets.choice(LETTERS) for _ in range(8))
            self._write()
        return self.values["run_id"]

    def shown_live(self, destination: str, stage: str) -> bool:
        """Whether a destination was given the curves of a stage as they came."""
        return stage in self.values.get("live", {}).get(destination, [])

    def mark_live(self, destination: str, stage: str) -> None:
        """Put on record that it is."""
        if not self.shown_live(destination, stage):
            self.values.setdefault("live", {}).setdefault(destination, []).append(stage)
            self._write()

    def sent(self, destination: str) -> str | None:
        """The fingerprint of the results that a destination was sent last."""
        return self.values.get("sent", {}).get(destination)

    def mark_sent(self, destination: str, fingerprint: str) -> None:
        """Put on record what it was sent."""
        self.values.setdefault("sent", {})[destination] = fingerprint
        self._write()

    def _write(self) -> None:
        atomic_json(self.path, self.values)
