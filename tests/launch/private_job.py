"""A private fit on every process that `torchrun -m tests.launch.private_job FOLDER STEPS STOP` starts.

It stops with a crash when step STOP is due (never, if that is STEPS); every process leaves its weights in FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.run_key import RunKey
from datamodules.image_set import ImageSet
from datamodules.poisson import PoissonBatches
from launch.ranks import Ranks
from launch.training import fit
from tests.launch.fits import Crashing, Data
from tests.lightning_modules.dp_sgd.private import FIXED_KEY, N, private_training, reserved
from tests.lightning_modules.dp_sgd.toy import CHANNELS, CLASSES, SIDE, records, toy


def granted(ranks: Ranks, folder: Path, steps: int) -> tuple[Ledger, PrivateAccess]:
    """The access that the first process is charged for, on each of them."""
    ledger, access = reserved(folder, steps=steps) if ranks.first else (None, None)
    start = ranks.told(access.ledger_head if access else None)
    mechanism = ranks.told(access.mechanism if access else None)
    if ledger is not None and access is not None:
        return ledger, access
    assert start is not None and mechanism is not None
    ledger = Ledger.read(folder / "ledger.jsonl")
    key = RunKey.create_or_load(folder / "key", insecure_hex=FIXED_KEY)
    return ledger, ledger.join(start, mechanism, stage="finetune", fingerprint="f" * 64, run_key=key)


def main(folder: Path, steps: int, stop: int) -> None:
    """Train on this process' part of every batch."""
    torch.set_num_threads(1)
    ranks = Ranks.here()
    ranks.connect(torch.device("cpu"))
    ledger, access = granted(ranks, folder, steps)
    model = toy(noise=0.0).double()
    if not ranks.first:  # the first process' weights must reach this one
        for parameter in model.parameters():
            parameter.data.add_(1.0)
    images, labels = records(N)
    whole = ImageSet(images.numpy(), labels.numpy(), tuple(str(label) for label in range(CLASSES)))
    assert whole.images.shape[1:] == (CHANNELS, SIDE, SIDE)

    def data(start: int) -> Data:
        batches = PoissonBatches(whole, access, start=start, rank=ranks.rank, world=ranks.world)
        return Data(Crashing(batches, stop))

    module = private_training(model, access)
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
