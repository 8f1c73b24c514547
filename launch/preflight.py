"""What an experiment will take: time and memory of each stage, extrapolated from a few measured batches."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from accounting.plan import BudgetPlan
from configs.schema import Experiment
from datamodules.labelled_images import LabelledImages
from launch.clipping import tried_engine
from launch.context import new_classifier, new_generator
from launch.data import public_source, read, sensitive_source
from launch.micro_batch import choose
from launch.resources import Meter
from lightning_modules.inference import accelerated

ROUNDS = 3  # measured batches a stage, after one to warm up


@dataclass(frozen=True)
class Estimate:
    """What one stage is expected to take. peak_bytes: of the process (or of the GPU, where there is one)."""

    stage: str
    seconds: float
    peak_bytes: int
    basis: str


def estimates(config: Experiment, plan: BudgetPlan, device: torch.device) -> list[Estimate]:
    """Measure a few micro-batches of every network stage on public images. Touches no sensitive data."""
    public = read("public", public_source(config), test=True, progress=False)
    classes = len(sensitive_source(config).class_names)
    measures: dict[str, Callable[[], Estimate]] = {
        "classifier": lambda: measure_classifier(config, public, device),
        "query": lambda: measure_query(config, public, plan.n, device),
        "pretrain": lambda: measure_pretraining(config, public, classes, device),
        "finetune": lambda: measure_finetuning(config, public, classes, device),
        "synthesize": lambda: measure_sampling(config, classes, device),
    }
    return [measures[name]() for name in config.stages if name in measures]


def measure_classifier(config: Experiment, public: LabelledImages, device: torch.device) -> Estimate:
    """A step of the semantic classifier."""
    settings = config.classifier
    module = new_classifier(config, len(public.class_names)).to(device).train()
    images, labels = batch(public, settings.batch_size, device)

    def step() -> None:
        F.cross_entropy(module(images), labels).backward()

    return extrapolate("classifier", step, settings.steps, f"{settings.steps} steps of {settings.batch_size} images")


def measure_query(config: Experiment, public: LabelledImages, n: int, device: torch.device) -> Estimate:
    """The classifier's answers for n images."""
    module = new_classifier(config, len(public.class_names)).to(device)
    size = min(n, 1000)
    images, _ = batch(public, size, torch.device("cpu"))
    return extrapolate("query", lambda: module.topk(images, config.query.semantics), n / size, f"{n} images")


def measure_pretraining(config: Experiment, public: LabelledImages, classes: int, device: torch.device) -> Estimate:
    """A step of pre-training."""
    settings = config.pretrain
    model = new_generator(config, classes).to(device)
    images, labels = batch(public, settings.batch_size, device)
    random = torch.Generator(device).manual_seed(0)

    def step() -> None:
        model.record_losses(images, labels % classes, random, multiplicity=1).mean().backward()

    return extrapolate("pretrain", step, settings.steps, f"{settings.steps} steps of {settings.batch_size} images")


def measure_finetuning(config: Experiment, public: LabelledImages, classes: int, device: torch.device) -> Estimate:
    """A micro-batch of DP-SGD."""
    settings = config.finetune
    model = new_generator(config, classes)
    engine = tried_engine(config, model, classes=classes, device=device)
    size = min(choose(config, model, engine, classes=classes, device=device), settings.batch_size)
    images, labels = batch(public, size, device)
    random = torch.Generator(device).manual_seed(0)
    rounds = settings.steps * settings.batch_size / size
    basis = f"{settings.steps} steps of {settings.batch_size} records on average, {size} at once"
    basis += " (auto)" if settings.micro_batch == "auto" else ""
    return extrapolate("finetune", lambda: engine.clipped_sum(images, labels % classes, random), rounds, basis)


def measure_sampling(config: Experiment, classes: int, device: torch.device) -> Estimate:
    """A batch of sampling, at most 100 images."""
    settings = config.synthesize
    model = new_generator(config, classes).to(device)
    size = min(settings.batch_size, settings.count, 100)
    labels = torch.arange(size, device=device) % classes
    random = torch.Generator(device).manual_seed(0)
    basis = f"{settings.count} images in {settings.precision}" + (", compiling not counted" if settings.compile else "")
    with accelerated(model.trainable, precision=settings.precision, compile=settings.compile):
        return extrapolate("synthesize", lambda: model.sample(labels, random), settings.count / size, basis)


def batch(images: LabelledImages, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """`size` images and their labels, repeated where there are fewer."""
    chosen = images.subset(np.arange(size) % len(images)).in_memory()
    return torch.from_numpy(chosen.images).to(device), torch.from_numpy(chosen.labels).to(device)


def extrapolate(stage: str, work: Callable[[], Any], rounds: float, basis: str) -> Estimate:
    """The median of a few rounds, times how many there will be."""
    times = []
    with Meter() as meter:
        for _ in range(1 + ROUNDS):
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times[1:]) * math.ceil(rounds)
    return Estimate(stage, seconds, meter.gpu_peak_bytes or meter.peak_bytes, basis)
