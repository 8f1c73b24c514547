"""Logistic regression and multi-layer perceptron on pixels, with scikit-learn as in the paper (PrivImage §4.3)."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from configs.components.scorers import LogisticRegressionConfig, MLPConfig
from datamodules.sets.image_set import ImageSet
from evaluation.scorer import SCORERS, Predictor, accuracy, pixels

STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # inverse L2 penalties to choose from


@SCORERS.register(LogisticRegressionConfig)
class LogisticRegressionScorer:
    """Multinomial logistic regression on the pixels; the penalty is chosen on held-out images."""

    def __init__(self, config: LogisticRegressionConfig) -> None:
        self.config = config

    def fit(
        self, train: ImageSet, holdout: ImageSet, seed: int, device: torch.device, *, progress: bool = False
    ) -> Predictor:
        """The fit with the penalty that does best on `holdout`; always on the CPU, and the same for every seed."""
        rows = pixels(np.asarray(train.images))
        return max((self._fit(rows, train.labels, c) for c in STRENGTHS), key=lambda fit: accuracy(fit, holdout))

    def _fit(self, rows: np.ndarray, labels: np.ndarray, strength: float) -> Predictor:
        model = LogisticRegression(C=strength, max_iter=self.config.iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is regularisation too
            model.fit(rows, labels)
        return lambda images: model.predict(pixels(images))


@SCORERS.register(MLPConfig)
class MLPScorer:
    """Multi-layer perceptron on the pixels; the epoch is chosen on held-out images."""

    def __init__(self, config: MLPConfig) -> None:
        self.config = config

    def fit(
        self, train: ImageSet, holdout: ImageSet, seed: int, device: torch.device, *, progress: bool = False
    ) -> Predictor:
        """The epoch that does best on `holdout`; always on the CPU."""
        rows, categories = pixels(np.asarray(train.images)), np.unique(train.labels)
        model = MLPClassifier((self.config.hidden,), random_state=seed)
        best, best_accuracy = model, -1.0
        for _ in range(self.config.epochs):
            model.partial_fit(rows, train.labels, classes=categories)
            reached = float(np.mean(model.predict(pixels(np.asarray(holdout.images))) == holdout.labels))
            if reached > best_accuracy:
                best, best_accuracy = copy.deepcopy(model), reached
        return lambda images: best.predict(pixels(images))
