"""Charged accesses for tests, with a fixed key (so that runs repeat) or a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import SampledGaussian
from accounting.run_key import RunKey
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.registries import Generator

FIXED_KEY = "5a" * 32
N, CLIP, SIGMA, RATE = 12, 0.5, 1.2, 0.4


def reserved(
    folder: Path, *, steps: int, rate: float = RATE, sigma: float = SIGMA, clip: float = CLIP, fixed: bool = True
) -> tuple[Ledger, PrivateAccess]:
    """A ledger in `folder` and an access charged to it; a second call returns the access of a later start."""
    mechanism = SampledGaussian(
        name="dp-sgd", noise_multiplier=sigma, sampling_rate=rate, steps=steps, sensitivity=clip
    )
    folder.mkdir(parents=True, exist_ok=True)
    key = RunKey.create_or_load(folder / "key", insecure_hex=FIXED_KEY if fixed else None)
    ledger = Ledger.open(folder / "ledger.jsonl", epsilon=1e4, delta=1e-3, n=N, accountant="rdp", insecure=fixed)
    return ledger, ledger.reserve(mechanism, stage="finetune", fingerprint="f" * 64, run_key=key)


class PoissonRecords:
    """(step, images, labels) for the steps from `start`, drawn by an access from fixed records."""

    def __init__(self, images: Tensor, labels: Tensor, access: PrivateAccess, start: int = 0) -> None:
        self.images, self.labels, self.access, self.start = images, labels, access, start

    def __len__(self) -> int:
        return self.access.mechanism.steps

    def __iter__(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        for step in range(self.start, len(self)):
            chosen = self.access.sample(step, len(self.images))
            yield step, self.images[chosen], self.labels[chosen]


def private_training(
    model: Generator, access: PrivateAccess, *, micro_batch: int = 2, ranks: int = 1
) -> PrivateTraining:
    """Private training with settings that suit small generators."""
    return PrivateTraining(
        model,
        OpacusEngine(model, access.mechanism.sensitivity),
        access,
        expected_batch=access.mechanism.sampling_rate * N,
        micro_batch=micro_batch,
        learning_rate=0.01,
        ema_decay=0.8,
        ranks=ranks,
    )
