"""How a network that scores synthetic images is trained; the same for all networks."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from configs.scoring import Training
from datamodules.progress import track
from datamodules.sets.image_set import ImageSet
from evaluation.scorer import Predictor, accuracy
from lightning_modules.precision import autocast_as

PREDICTED = 250  # images at once: a wide network keeps many values per image


class NetworkScorer:
    """Trains the network that a subclass builds; the epoch is chosen on held-out images."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def network(self, channels: int, resolution: int, classes: int) -> nn.Module:
        """A new network from images [B, channels, resolution, resolution] in [-1, 1] to logits [B, classes]."""
        raise NotImplementedError

    def fit(
        self, train: ImageSet, holdout: ImageSet, seed: int, device: torch.device, *, progress: bool = False
    ) -> Predictor:
        """The epoch that does best on `holdout`. The global random state of torch does not change."""
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            return self._fit(train, holdout, device, progress)

    def _fit(self, train: ImageSet, holdout: ImageSet, device: torch.device, progress: bool) -> Predictor:
        settings, precision = self.training, self.training.precision
        if settings.images is not None:
            train = train.subset(torch.randperm(len(train))[: settings.images].sort().values.numpy())
        channels, resolution = train.images.shape[1:3]
        model = self.network(channels, resolution, len(train.class_names)).to(device)
        # 1.35 times as fast on a CPU
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images, labels = torch.from_numpy(np.array(train.images)), torch.from_numpy(train.labels)
        batches = max(1, len(train) // settings.batch_size)
        epochs = max(settings.epochs, math.ceil(settings.least_steps / batches))
        optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=epochs * batches)
        best, best_accuracy = copy.deepcopy(model), -1.0
        title, steps = type(self).__name__.removesuffix("Scorer"), epochs * batches
        parts: Sequence[Tensor] = ()
        for step in track(range(steps), title, total=steps, unit="step", show=progress):
            if step % batches == 0:
                parts = torch.randperm(len(images)).tensor_split(batches)
                model.train()
            chosen = parts[step % batches]
            loss = F.cross_entropy(_logits(model, images[chosen].to(device), precision), labels[chosen].to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if epochs > 1 and (step + 1) % batches == 0:  # with one epoch there is nothing to choose
                reached = accuracy(_predictor(model, device, precision), holdout)
                if reached >= best_accuracy:  # of equal epochs the later one: its learning rate was lower
                    best, best_accuracy = copy.deepcopy(model), reached
        return _predictor(best if epochs > 1 else model, device, precision)


def _logits(model: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Logits, float32 [B, classes], of images, uint8 [B, C, H, W]; the network runs in `precision`."""
    with autocast_as(precision, images.device):
        return model(images.float() / 127.5 - 1).float()


def _predictor(model: nn.Module, device: torch.device, precision: str) -> Predictor:
    @torch.inference_mode()
    def predict(images: np.ndarray) -> np.ndarray:
        model.eval()
        chunks = torch.from_numpy(np.array(images)).split(PREDICTED)
        return np.concatenate([_logits(model, chunk.to(device), precision).argmax(1).cpu().numpy() for chunk in chunks])

    return predict
