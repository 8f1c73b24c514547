"""Accuracies of the classifiers that an evaluation has trained so far: after an interruption it resumes from there."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from configs.files import atomic_json

Accuracies = dict[str, float]  # accuracy in [0, 1] by classifier; empty if a set has only one category


class KeptAccuracies:
    """One file per classifier and training set. They are not private: the files belong in `internal/`.

    Args:
        folder: folder of the files.
        fingerprint: fingerprint of the stage. Files of another one count as missing.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint

    def find(self, name: str, classifier: str) -> Accuracies | None:
        """The result of training a classifier on the set `name`; None if it is missing or damaged."""
        try:
            kept = json.loads(self._path(name, classifier).read_text())
            return {key: float(value) for key, value in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def keep(self, name: str, classifier: str, found: Accuracies) -> None:
        """Write the result of a training to the disk. Several processes may do so at once, each for its own."""
        atomic_json(self._path(name, classifier), found)

    def forget(self) -> None:
        """Remove all files, once the scores that contain them are on the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, classifier: str) -> Path:
        key = json.dumps([self.fingerprint, name, classifier])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
