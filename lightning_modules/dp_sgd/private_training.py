"""Training with DP-SGD: one training step is one logical step is one accounted step."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from accounting.access import PrivateAccess
from lightning_modules.alternating import adams, alternate, optimizers_of
from lightning_modules.dp_sgd.engine import ClippedSum, PrivateStatistics, sum_size, trained_parameters
from lightning_modules.dp_sgd.grid import from_grid, grid_unit, to_grid
from lightning_modules.dp_sgd.noise_ahead import NoiseAhead
from lightning_modules.dp_sgd.random_generators import keyed_generator
from lightning_modules.ema import private_ema
from lightning_modules.registries import Learner

Batch = tuple[int, Tensor, Tensor]


class PrivateTraining(LightningModule):
    """DP-SGD (Abadi et al. 2016, Algorithm 1) with Adam on the noised mean gradient, and what follows it.

    Args:
        model: the model to train.
        engine: computes the clipped sums.
        access: the charged mechanism, whose sensitivity is the engine's clip norm; all randomness comes from it.
        expected_batch: q·n, the constant that the sum is divided by, never the actual batch.
        micro_batch: records whose gradients are held at once.
        learning_rate: learning rate of Adam.
        ema_decay: decay of the moving average of the released network's weights.
        ranks: processes that train together.

    Attributes:
        private_step: accounted steps that are done.

    Raises:
        ValueError: if the mechanism was not reserved for this clip norm, or a size is not positive.

    Sensitive: reads sensitive images; the weights are private by the noise, the logged statistics are not.
    """

    def __init__(
        self,
        model: Learner,
        engine: ClippedSum,
        access: PrivateAccess,
        *,
        expected_batch: float,
        micro_batch: int,
        learning_rate: float,
        ema_decay: float,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        if engine.clip_norm != access.mechanism.sensitivity:
            raise ValueError(f"clip norm {engine.clip_norm}, but noise is for {access.mechanism.sensitivity}")
        if not (expected_batch > 0 and micro_batch >= 1):
            raise ValueError(f"expected batch {expected_batch}, micro-batch {micro_batch}")
        self.automatic_optimization = False
        self.model = model
        self.ema = private_ema(model.released, ema_decay)
        self.engine = engine
        self.access = access
        self.expected_batch = expected_batch
        self.micro_batch = micro_batch
        self.learning_rate = learning_rate
        self.private_step = 0
        self.ranks = ranks
        self.unit = grid_unit(engine.clip_norm, self.values, ranks)
        self.noise = NoiseAhead(access, self.unit)

    def on_fit_start(self) -> None:
        """Check that as many processes train as the grid of the sum was made for.

        Raises:
            RuntimeError: if there are more or fewer.
        """
        if self.trainer.world_size != self.ranks:
            raise RuntimeError(f"{self.trainer.world_size} processes train, but the grid is for {self.ranks}")

    @property
    def values(self) -> int:
        """P: how many numbers the sum has."""
        return sum_size(self.model)

    @property
    def averaged(self) -> nn.Module:
        """The released network with the moving average of its weights."""
        return self.ema.module

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam, which sees only noised gradients; for an alternating generator, gradients through noised weights."""
        return adams(self.model, self.learning_rate)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One accounted step on a logical batch.

        Args:
            batch: (step, images uint8 [B, C, H, W], labels int64 [B]), B may be 0.
            batch_idx: not used.

        Raises:
            RuntimeError: if the batch is of another step than the next one.

        Sensitive: reads sensitive images.
        """
        step, images, labels = batch
        if step != self.private_step:
            raise RuntimeError(f"the batch of step {step} came when step {self.private_step} was due")
        part = self.noise_part()
        self.noise.begin(step, part.stop - part.start, self.device, part.start)
        total, statistics = self.gradient_sum(step, images, labels)
        units = to_grid(total, self.unit)
        units[part] += self.noise.take(step, part.stop - part.start, self.device, part.start)
        if self.trainer.world_size > 1:
            units, statistics = self.over_ranks(units, statistics)
        self.descend(from_grid(units, self.unit) / self.expected_batch)
        self.alternate(step)
        self.private_step = step + 1
        for logger in self.loggers:  # the only places that statistics go to, each behind a publish barrier
            logger.log_metrics(statistics.metrics(), step=step)

    def gradient_sum(self, step: int, images: Tensor, labels: Tensor) -> tuple[Tensor, PrivateStatistics]:
        """The clipped sum, float64 [P], over this rank's records, one micro-batch after the other. Not yet noised.

        Args:
            step: number of the step.
            images: uint8 [B, C, H, W], B may be 0.
            labels: int64 [B].

        Sensitive: the result is as sensitive as the images.
        """
        generator = keyed_generator(
            lambda count: self.access.loss_bytes(step, count, self.global_rank), device=self.device
        )
        parts = zip(images.split(self.micro_batch), labels.split(self.micro_batch), strict=True)
        total, statistics = self.engine.clipped_sum(images[:0], labels[:0], generator)
        total = total.double()  # in float64, sums of many micro-batches lose nothing that matters
        for some_images, some_labels in parts:
            if len(some_images):
                part, part_statistics = self.engine.clipped_sum(some_images, some_labels, generator)
                total += part
                statistics += part_statistics
        return total, statistics

    def noise_part(self) -> slice:
        """The part of the flat sum [P] to which this rank adds the noise, before the ranks' sums are added up.

        Together the ranks add every value of the one noise vector once, and no two ranks draw the same values.
        """
        count = self.values
        each = 2 * -(-count // (2 * self.trainer.world_size))  # even, as the generator of normals requires
        return slice(min(count, self.global_rank * each), min(count, (self.global_rank + 1) * each))

    def over_ranks(self, units: Tensor, statistics: PrivateStatistics) -> tuple[Tensor, PrivateStatistics]:
        """Sums over all ranks of their noised clipped sums, int64 [P], and of their statistics."""
        names = [field.name for field in dataclasses.fields(statistics)]
        counts = torch.tensor([getattr(statistics, name) for name in names], dtype=torch.float64, device=units.device)
        units, counts = (cast(Tensor, self.trainer.strategy.reduce(part, reduce_op="sum")) for part in (units, counts))
        return units, PrivateStatistics(**dict(zip(names, counts.tolist(), strict=True)))

    def descend(self, gradient: Tensor) -> None:
        """Move the trained weights by one optimiser step along a noised flat gradient [P]."""
        parameters = trained_parameters(self.model)
        pieces = gradient.split([parameter.numel() for parameter in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter)
        optimizer = optimizers_of(self)[0]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def alternate(self, step: int) -> None:
        """Let the alternating generator take its step, and the average follow the released network.

        Post-processing: of the batch, and of all sensitive data, only the noised weights are used here.
        """
        random = keyed_generator(lambda count: self.access.following_bytes(step, count), device=self.device)
        if alternate(self, self.model, step, random):
            self.ema.update_parameters(self.model.released)

    def forfeit(self, step: int) -> None:
        """Count the steps before `step` as done, although their updates are lost.

        Their results were published once already; computing them again would release more than was charged.
        """
        self.private_step = max(self.private_step, step)

    def teardown(self, stage: str) -> None:
        """Stop drawing noise. A fit that fails does not get here; its threads end when their step is drawn."""
        self.noise.close()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the accounted steps, and what the ledger must at least contain when this is loaded."""
        checkpoint["private_step"] = self.private_step
        checkpoint["ledger_head"] = self.access.ledger_head

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue with the accounted steps of a checkpoint."""
        self.private_step = checkpoint["private_step"]
