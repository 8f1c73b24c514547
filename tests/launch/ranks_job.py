"""What every process of a job does in these tests: `main(folder, steps, stop)`.

A private fit, which crashes when step `stop` is due (never, if it is `steps`). Then public fits whose batch size is not
divisible by the number of processes, and work that is shared among processes. Each process saves its results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.run_key import RunKey
from datamodules.batches.poisson import PoissonBatches
from datamodules.batches.public import PublicData
from datamodules.batches.step_batches import Part
from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from launch.processes.ranks import Ranks
from launch.training.trainer import fit
from lightning_modules.learning_rate import one_cycle
from lightning_modules.public_module import PublicModule
from tests.launch.fits import Crashing, Data
from tests.lightning_modules.dp_sgd.private import FIXED_KEY, N, private_training, reserved
from tests.lightning_modules.dp_sgd.toy import CHANNELS, CLASSES, SIDE, records, toy


def granted(ranks: Ranks, folder: Path, steps: int) -> tuple[Ledger, PrivateAccess]:
    """The access that the first process charged, in every process."""
    ledger, access = reserved(folder, steps=steps) if ranks.first else (None, None)
    start = ranks.broadcast(access.ledger_head if access else None)
    mechanism = ranks.broadcast(access.mechanism if access else None)
    if ledger is not None and access is not None:
        return ledger, access
    assert start is not None and mechanism is not None
    ledger = Ledger.read(folder / "ledger.jsonl")
    key = RunKey.create_or_load(folder / "key", insecure_hex=FIXED_KEY)
    return ledger, ledger.join(start, mechanism, stage="finetune", fingerprint="f" * 64, run_key=key)


class Public(PublicModule):
    """Plain gradient descent on the toy's losses, without random draws."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size=batch_size, micro_batch=2, seed=0)
        self.model = toy(noise=0.0).double()

    def losses(self, images: torch.Tensor, labels: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        return self.model.record_losses(images, labels, draws)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.model.network.parameters(), lr=1e-2)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": one_cycle(optimizer, 20, 5), "interval": "step"}}


def main(folder: Path, steps: int, stop: int) -> None:
    """Train on this process' part of every batch, with and without privacy."""
    torch.set_num_threads(1)
    ranks = Ranks.here()
    ranks.connect(torch.device("cpu"))
    private(ranks, folder, steps, stop)
    for batch_size in (2, 5):
        public(ranks, folder, batch_size, steps)
    images = whole_set()
    rows = ranks.pooled(
        lambda part: part.images.sum(axis=(1, 2, 3), dtype=np.int64)[:, None] + part.labels[:, None], images
    )
    total = ranks.all_reduce(np.arange(3) + ranks.rank)
    torch.save([torch.from_numpy(rows), torch.from_numpy(total)], folder / f"shared-{ranks.rank}-of-{ranks.world}.pt")


def whole_set() -> ImageSet:
    """All records of the toy."""
    images, labels = records(N)
    return ImageSet(images.numpy(), labels.numpy(), tuple(str(label) for label in range(CLASSES)))


def public(ranks: Ranks, folder: Path, batch_size: int, steps: int) -> None:
    """An ordinary fit on all processes."""
    module = Public(batch_size)
    fit(
        module,
        lambda start: PublicData(whole_set(), batch_size, steps, 0, start=start, part=Part(ranks.rank, ranks.world)),
        folder=folder / f"public-{batch_size}",
        total_steps=steps,
        accelerator="cpu",
        minutes=60.0,
    )
    torch.save(module.state_dict(), folder / f"public-{batch_size}-{ranks.rank}-of-{ranks.world}.pt")


def private(ranks: Ranks, folder: Path, steps: int, stop: int) -> None:
    """A private fit on all processes."""
    ledger, access = granted(ranks, folder, steps)
    model = toy(noise=0.0).double()
    if not ranks.first:  # the first process' weights must reach this one
        for parameter in model.parameters():
            parameter.data.add_(1.0)
    whole = whole_set()
    assert whole.images.shape[1:] == (CHANNELS, SIDE, SIDE)

    def data(start: int) -> Data:
        batches = PoissonBatches(SensitiveImages(whole), access, start=start, part=Part(ranks.rank, ranks.world))
        return Data(Crashing(batches, stop))

    module = private_training(model, access, ranks=ranks.world)
    fit(
        module,
        data,
        folder=folder / "checkpoints",
        total_steps=steps,
        accelerator="cpu",
        minutes=60.0,
        every_steps=5,
        access=access,
        require=ledger.require,
    )
    torch.save(module.state_dict(), folder / f"weights-{ranks.rank}-of-{ranks.world}.pt")
