"""The semantic classifier: trained on public images, then asked for the semantics of any image."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from configs.schema import Classifier, Image
from lightning_modules.acceleration import evaluating
from lightning_modules.learning_rate import one_cycle
from lightning_modules.pixels import to_network
from lightning_modules.public_module import Batch, PublicModule
from lightning_modules.registries import CLASSIFIERS

WARM_UP_SHARE = 0.25  # of the steps, usual for a one-cycle schedule


class SemanticClassifier(PublicModule):
    """A classifier of public categories with cross-entropy, AdamW and a one-cycle schedule.

    Logs `train/loss`, `validation/loss` and `validation/accuracy`, which are public.

    Args:
        network: configuration of a registered classifier.
        training: learning rate, weight decay, steps and batches.
        image: shape of the images.
        classes: number of public categories.

    Sensitive: `topk`, `scores` and `features` may be given sensitive images. Each answer depends only on its own image,
    nothing is kept, and the answers are as sensitive as the images.
    """

    def __init__(self, network: Any, training: Classifier, image: Image, classes: int) -> None:
        super().__init__(batch_size=training.batch_size, micro_batch=training.micro_batch, seed=0)  # no draws
        self.network: Any = CLASSIFIERS.build(network, channels=image.channels, classes=classes)
        self.learning_rate = training.learning_rate
        self.weight_decay = training.weight_decay
        self.steps = training.steps

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images uint8 [B, C, H, W]."""
        return self.network(to_network(images))

    def losses(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """Cross-entropy of each record, [B]."""
        return F.cross_entropy(self(images), labels, reduction="none")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        _, images, labels = batch
        logits = self(images)
        accuracy = (logits.argmax(1) == labels).float().mean()
        size = len(images)
        self.log("validation/loss", F.cross_entropy(logits, labels), batch_size=size, sync_dist=True)
        self.log("validation/accuracy", accuracy, prog_bar=True, batch_size=size, sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = one_cycle(optimizer, self.steps, warm_up=int(WARM_UP_SHARE * self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def topk(self, images: Tensor, k: int, batch_size: int = 1024) -> Tensor:
        """The k most likely categories of each image, most likely first: int64 [N, k] on the CPU.

        Args:
            images: uint8 [N, C, H, W] on any device, N may be 0.
            k: at most the number of categories.
            batch_size: images computed at once.

        Sensitive: the answers are as sensitive as the images.
        """
        return self._batched(lambda x: self.network(x).topk(k).indices, images, batch_size)

    def scores(self, images: Tensor, batch_size: int = 1024) -> Tensor:
        """The logits that `topk` ranks: float32 [N, categories] on the CPU.

        Args:
            images: uint8 [N, C, H, W] on any device, N may be 0.
            batch_size: images computed at once.

        Sensitive: the answers are as sensitive as the images.
        """
        return self._batched(self.network, images, batch_size)

    def features(self, images: Tensor, batch_size: int = 1024) -> Tensor:
        """The penultimate activations: float32 [N, F] on the CPU.

        Args:
            images: uint8 [N, C, H, W] on any device, N may be 0.
            batch_size: images computed at once.

        Sensitive: the answers are as sensitive as the images.
        """
        return self._batched(self.network.features, images, batch_size)

    @property
    def semantics(self) -> int:
        """Number of public categories."""
        return self.network.head.out_features

    @property
    def class_embeddings(self) -> Tensor:
        """One vector per category, [classes, F] on the CPU: the weights of the last layer. Public."""
        return self.network.head.weight.detach().cpu()

    @torch.inference_mode()
    def _batched(self, function: Any, images: Tensor, batch_size: int) -> Tensor:
        """The function of every image, in evaluation mode and one batch at a time."""
        # an empty input still makes one (empty) batch, which gives the answer its shape
        batches = images.split(batch_size) if len(images) else [images]
        with evaluating(self):
            return torch.cat([function(to_network(batch.to(self.device))).cpu() for batch in batches])
