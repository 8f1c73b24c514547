"""What every process of a job with a GAN does.

A private and a public fit of a GAN. Its fakes depend only on labels, because each process draws its own latents. Each
process saves its weights in FOLDER.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from configs.schema import Pretrain
from datamodules.batches.poisson import PoissonBatches
from datamodules.batches.public import PublicData
from datamodules.batches.step_batches import Part
from datamodules.sets.sensitive import SensitiveImages
from launch.processes.ranks import Ranks
from launch.training.trainer import fit
from lightning_modules.gan import GAN
from lightning_modules.generator_training import PublicTraining
from tests.launch.fits import Data
from tests.launch.ranks_job import granted, whole_set
from tests.lightning_modules.dp_sgd.private import private_training
from tests.lightning_modules.test_gan import gan


def still_gan() -> GAN:
    """A GAN in double precision whose fakes for records need no random draws; its generating network draws as usual."""
    model = gan().double()
    generate = model.generate

    def generate_still(latents: Tensor, labels: Tensor) -> Tensor:
        return generate(torch.zeros_like(latents), labels)

    model.generate = generate_still  # type: ignore[method-assign]
    return model


def main(folder: Path, steps: int) -> None:
    """Train on this process' part of every batch, with and without privacy."""
    torch.set_num_threads(1)
    ranks = Ranks.here()
    ranks.connect(torch.device("cpu"))
    part = Part(ranks.rank, ranks.world)
    ledger, access = granted(ranks, folder, steps)
    model = still_gan()
    if not ranks.first:  # the first process' weights must reach this one
        for parameter in model.parameters():
            parameter.data.add_(1.0)
    module = fit(
        private_training(model, access, ranks=ranks.world),
        lambda start: Data(PoissonBatches(SensitiveImages(whole_set()), access, start=start, part=part)),
        folder=folder / "checkpoints",
        total_steps=steps,
        accelerator="cpu",
        minutes=60.0,
        access=access,
        require=ledger.require,
    )
    torch.save(module.state_dict(), folder / f"weights-{ranks.rank}-of-{ranks.world}.pt")
    settings = Pretrain(steps=steps, batch_size=5, learning_rate=1e-2, ema_decay=0.9, micro_batch=2)
    public = fit(
        PublicTraining(still_gan(), settings, seed=0),
        lambda start: PublicData(whole_set(), 5, steps, 0, start=start, part=part),
        folder=folder / "public",
        total_steps=steps,
        accelerator="cpu",
        minutes=60.0,
    )
    torch.save(public.state_dict(), folder / f"public-{ranks.rank}-of-{ranks.world}.pt")
