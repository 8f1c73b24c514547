"""Commands for comparisons and sweeps of tiny runs, and the tables that they write."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.launch.runs import TINY

WORDS = [word for word in TINY if not word.startswith(("privacy.epsilon", "query.noise"))]
WORDS += ["evaluate.tsne=false", "launch.checkpoint_minutes=5"]  # which take half of such a run's time


def study(kind: str, folder: Path, *words: str) -> list[str]:
    return [kind, "demo", *WORDS, "query.noise_multiplier=auto", f"run.root={folder}", *words]


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "comparison.csv") as file:
        return list(csv.DictReader(file))
