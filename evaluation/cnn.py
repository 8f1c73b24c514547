"""The convolutional classifier that scores synthetic images, for 8 x 8 to 64 x 64 pixels."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from configs.fields import key
from datamodules.image_set import ImageSet
from evaluation.scoring import SCORERS, Predictor, accuracy


class PlainCNN(nn.Module):
    """3 x 3 convolutions with batch normalisation; the image is halved until it is 4 pixels wide or less.

    Batch normalisation mixes records, which is fine here: this network never trains on sensitive images.
    x: [B, channels, H, W] in [-1, 1]. Returns logits [B, classes].
    """

    def __init__(self, channels: int, resolution: int, classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_convolution(channels, width)]
        while resolution > 4:
            wider = min(2 * width, 256)
            layers += [*_convolution(width, wider), nn.MaxPool2d(2, ceil_mode=True), *_convolution(wider, wider)]
            width, resolution = wider, math.ceil(resolution / 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(width * resolution**2, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


@dataclass
class CNNConfig:
    name: str = "cnn"
    width: int = key(24, "channels of the first convolution", at_least=1)
    epochs: int = key(12, "passes over the synthetic images, more where they are few", at_least=1)
    least_steps: int = key(300, "optimiser steps that a small set gets at the least", at_least=1)
    batch_size: int = key(128, "synthetic images a step", at_least=2)
    learning_rate: float = key(3e-3, "peak of the one-cycle schedule", above=0)
    weight_decay: float = key(1e-2, "decoupled weight decay", at_least=0)


@SCORERS.register(CNNConfig)
class CNNScorer:
    """Small convolutional network; the epoch is chosen on the hold-out."""

    def __init__(self, config: CNNConfig) -> None:
        self.config = config

    def fit(self, train: ImageSet, holdout: ImageSet, seed: int, device: torch.device) -> Predictor:
        """The epoch that does best on `holdout`. The global random state of torch is left as it was."""
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            return self._fit(train, holdout, device)

    def _fit(self, train: ImageSet, holdout: ImageSet, device: torch.device) -> Predictor:
        settings = self.config
        channels, resolution = train.images.shape[1:3]
        model = PlainCNN(channels, resolution, len(train.class_names), settings.width).to(device)
        images, labels = torch.from_numpy(np.array(train.images)), torch.from_numpy(train.labels)
        batches = max(1, len(train) // settings.batch_size)
        epochs = max(settings.epochs, math.ceil(settings.least_steps / batches))
        optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=epochs * batches)
        best, best_accuracy = copy.deepcopy(model), -1.0
        for _ in range(epochs):
            model.train()
            for chosen in torch.randperm(len(images)).tensor_split(batches):
                loss = F.cross_entropy(model(_scaled(images[chosen].to(device))), labels[chosen].to(device))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            reached = accuracy(_predictor(model, device), holdout)
            if reached >= best_accuracy:  # of equals the later one: its learning rate is lower
                best, best_accuracy = copy.deepcopy(model), reached
        return _predictor(best, device)


def _scaled(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


def _predictor(model: nn.Module, device: torch.device) -> Predictor:
    @torch.inference_mode()
    def predict(images: np.ndarray) -> np.ndarray:
        model.eval()
        chunks = torch.from_numpy(np.array(images)).split(1000)
        return np.concatenate([model(_scaled(chunk.to(device))).argmax(1).cpu().numpy() for chunk in chunks])

    return predict
