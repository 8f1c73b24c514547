"""Watches when a run reads sensitive images, and whether answers in its ledger would survive a power cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from accounting.ledger_file import Chain
from configs.schema import Experiment
from evolution.embedding import Embedding
from launch.components import read, sensitive_source
from launch.run.context import Context
from launch.run.directory import RunDirectory
from tests.power_cut import Disk

SCORED = ("evaluate", "report")  # stages that the guarantee does not cover
ANSWERS = {
    "semantic query": "stages/query/histogram.json",
    "private evolution": "stages/evolve/votes-{last:03d}.npz",
    "dp-sgd": "stages/finetune/checkpoints-*/step-{step:08d}.ckpt",
}
"""For each mechanism: the file with the answer that a progress line of the ledger is about."""


@dataclass(frozen=True)
class Reading:
    """One access of a stage to sensitive images."""

    images: str
    """`sensitive` or `sensitive_test`."""
    stage: str
    """The stage."""
    begun: bool
    """Whether the ledger had begun the stage's own charge."""


def watch_readings(monkeypatch: pytest.MonkeyPatch) -> list[Reading]:
    """All accesses of a run to its sensitive images, in order."""
    found: list[Reading] = []

    def watch(name: str) -> None:
        read = Context.__dict__[name].func

        def watched(context: Context) -> Any:
            lines, stage = context.ledger.entries, next(reversed(context.fingerprints), "")
            begun = {lines[line["charge"]]["stage"] for line in lines if line["kind"] == "start"}
            found.append(Reading(name, stage, stage in begun))
            if name not in context.__dict__:
                context.__dict__[name] = read(context)
            return context.__dict__[name]

        monkeypatch.setattr(Context, name, property(watched))

    watch("sensitive")
    watch("sensitive_test")
    return found


def watch_answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """For every progress line of the ledger: mechanism, and whether its answer would survive a power cut before it."""
    disk, append, found = Disk(monkeypatch), Chain.append, list[tuple[str, bool]]()

    def watched(chain: Chain, kind: str, **payload: Any) -> dict[str, Any]:
        if kind == "progress":
            name, step = payload["name"], payload["step"]
            files = list(chain.path.parent.glob(ANSWERS[name].format(step=step, last=step - 1)))
            found.append((name, bool(files) and all(map(disk.holds, files))))
        return append(chain, kind, **payload)

    monkeypatch.setattr(Chain, "append", watched)
    return found


def watch_key(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """For every stage: whether the run's key still exists when the stage is done."""
    found, mark = list[tuple[str, bool]](), RunDirectory.mark

    def watched(directory: RunDirectory, name: str, record: dict[str, Any]) -> None:
        found.append((name, directory.key.exists()))
        mark(directory, name, record)

    monkeypatch.setattr(RunDirectory, "mark", watched)
    return found


def watch_scaling(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """All sets of images, uint8 [N, C, H, W], by which features are scaled."""
    found, fit = list[np.ndarray](), Embedding.fit

    def watched(embedding: Embedding, images: np.ndarray) -> None:
        found.append(images)
        fit(embedding, images)

    monkeypatch.setattr(Embedding, "fit", watched)
    return found


def secret(config: Experiment) -> set[bytes]:
    """The sensitive images of a run, of both splits."""
    source = sensitive_source(config)
    splits = [read("sensitive", source, test=test, progress=False).in_memory().images for test in (False, True)]
    return {image.tobytes() for images in splits for image in images}
