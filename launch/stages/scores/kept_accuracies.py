"""Accuracies of the classifiers that an evaluation has trained so far: one that is interrupted goes on from there."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from configs.files import atomic_json

Accuracies = dict[str, float]  # accuracy in [0, 1] by classifier; empty where a set has one category alone


class KeptAccuracies:
    """One file for each training, by the set it was on. NOT private: to be kept in `internal/`."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """fingerprint: of the stage; what was kept under another counts as missing."""
        self.folder = folder
        self.fingerprint = fingerprint

    def find(self, name: str, classifier: str) -> Accuracies | None:
        """What a training on the set `name` came to; None where it is not kept, or damaged."""
        try:
            kept = json.loads(self._path(name, classifier).read_text())
            return {key: float(value) for key, value in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def keep(self, name: str, classifier: str, found: Accuracies) -> None:
        """Put a finished training on the disk. Several processes may, each its own."""
        atomic_json(self._path(name, classifier), found)

    def forget(self) -> None:
        """Remove all: the scores that they are part of are on the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, classifier: str) -> Path:
        key = json.dumps([self.fingerprint, name, classifier])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
