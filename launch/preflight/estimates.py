"""Estimates of the time and memory of each stage, extrapolated from a few measured batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from configs.schema import Classifier, Pretrain
from launch.components import new_classifier, new_generator, read
from launch.preflight.measuring import Estimate, Job, Measurement, batch, extrapolate, median_seconds, median_update
from launch.preflight.measuring_evolution import measure_evolution, measure_labelling, measure_rendering
from launch.run.setup import Setup
from launch.stages.engine_choice import choose, tried_engine
from launch.stages.finetune import settings_without_noise
from lightning_modules.acceleration import accelerated
from lightning_modules.alternating import alternating_gradient


def estimates(setup: Setup, device: torch.device, job: Job) -> list[Estimate]:
    """Measure a few micro-batches of every stage with a network, on public images. Touches no sensitive data.

    Args:
        setup: the run that was planned and checked.
        device: where the batches are measured.
        job: the processes that will do the work.

    Returns:
        One estimate per stage that has one, in the order of the stages.
    """
    public = read("public", setup.sources.public, test=True, progress=False)
    names = tuple(setup.sources.sensitive.class_names)
    asked = Measurement(setup.config, public, names, setup.plan.n, device, job)
    return [MEASURES[name](asked) for name in setup.config.stages if name in MEASURES]


def measure_classifier(asked: Measurement) -> Estimate:
    """Measure a step of the semantic classifier."""
    settings = asked.config.classifier
    module = new_classifier(asked.config, len(asked.public.class_names)).to(asked.device).train()

    def losses(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(module(images), labels)

    return measure_public("classifier", asked, settings, module.network, losses)


def measure_pretraining(asked: Measurement) -> Estimate:
    """Measure a step of pre-training."""
    return measure_ordinary("pretrain", asked, asked.config.pretrain)


def measure_ceiling(asked: Measurement) -> Estimate:
    """Measure a step of ordinary training, which takes the place of DP-SGD in `finetune_without_noise`."""
    return measure_ordinary("finetune", asked, settings_without_noise(asked.config))


def measure_ordinary(stage: str, asked: Measurement, settings: Pretrain) -> Estimate:
    """Measure a step of training a generator without clipping and noise."""
    model = new_generator(asked.config, asked.classes).to(asked.device)
    random = torch.Generator(asked.device).manual_seed(0)

    def losses(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return model.record_losses(images, labels % asked.classes, random, multiplicity=1).mean()

    extra = following(asked, model)
    return measure_public(stage, asked, settings, model.trainable, losses, extra)


def measure_public(
    stage: str,
    asked: Measurement,
    settings: Classifier | Pretrain,
    network: nn.Module,
    losses: Callable[..., Any],
    extra: float = 0.0,
) -> Estimate:
    """Measure a micro-batch of ordinary training, in the stage's precision.

    Args:
        settings: the stage's settings.
        losses: from images and labels to the loss.
        extra: seconds per step for what follows the update.
    """
    part = asked.job.part(settings.batch_size)
    size = min(part, settings.micro_batch or part)
    images, labels = batch(asked.public, size, asked.device)
    with accelerated(network, precision=settings.precision, compile=settings.compile, stage=stage):
        return extrapolate(
            stage,
            lambda: losses(images, labels).backward(),
            rounds=settings.steps * math.ceil(part / size),
            serial=settings.steps * (asked.job.sending(network) + extra),
            basis=f"{settings.steps} steps of {settings.batch_size} images, {size} at once in {settings.precision}",
        )


def measure_query(asked: Measurement) -> Estimate:
    """Measure the classifier's predictions for a batch, of n images in total."""
    module = new_classifier(asked.config, len(asked.public.class_names)).to(asked.device)
    part = asked.job.part(asked.n)
    size = min(part, 1000)
    images, _ = batch(asked.public, size, torch.device("cpu"))
    semantics = asked.config.query.semantics
    return extrapolate("query", lambda: module.topk(images, semantics), rounds=part / size, basis=f"{asked.n} images")


def measure_finetuning(asked: Measurement) -> Estimate:
    """Measure a micro-batch of DP-SGD, and the rest of a step: the optimiser, the exchange, and what follows."""
    config, settings, device = asked.config, asked.config.finetune, asked.device
    model = new_generator(config, asked.classes)
    engine = tried_engine(config, model, classes=asked.classes, device=device)
    part = asked.job.part(settings.batch_size)
    size = min(
        choose(config, model, engine, classes=asked.classes, device=device, processes=config.launch.devices), part
    )
    images, labels = batch(asked.public, size, device)
    random = torch.Generator(device).manual_seed(0)
    basis = f"{settings.steps} steps of {settings.batch_size} records on average, {size} at once"
    basis += " (auto)" if settings.micro_batch == "auto" else ""
    update = median_update(model.trainable)
    return extrapolate(
        "finetune",
        lambda: engine.clipped_sum(images, labels % asked.classes, random),
        rounds=settings.steps * math.ceil(part / size),
        serial=settings.steps * (update + asked.job.sending(model.trainable, width=8) + following(asked, model)),
        basis=basis,
    )


def following(asked: Measurement, model: Any) -> float:
    """Seconds per step, on average, to train the network that alternates with the private one; 0 if there is none."""
    alternating = model.alternating
    if alternating is None:
        return 0.0
    random = torch.Generator(asked.device).manual_seed(0)
    seconds, _ = median_seconds(lambda: alternating_gradient(alternating, random))
    return (seconds + asked.job.sending(alternating.network)) / alternating.every


def measure_sampling(asked: Measurement) -> Estimate:
    """Measure a batch of sampling, of at most 100 images."""
    settings, device = asked.config.synthesize, asked.device
    model = new_generator(asked.config, asked.classes).to(device)
    size = min(settings.batch_size, settings.count, 100)
    labels = torch.arange(size, device=device) % asked.classes
    random = torch.Generator(device).manual_seed(0)
    batches = asked.job.part(math.ceil(settings.count / settings.batch_size))
    images = min(batches * settings.batch_size, settings.count)
    basis = f"{settings.count} images in {settings.precision}" + (", compiling not counted" if settings.compile else "")
    with accelerated(model.released, precision=settings.precision, compile=settings.compile):
        return extrapolate("synthesize", lambda: model.sample(labels, random), rounds=images / size, basis=basis)


MEASURES: dict[str, Callable[[Measurement], Estimate]] = {
    "classifier": measure_classifier,
    "query": measure_query,
    "query_without_noise": measure_query,
    "pretrain": measure_pretraining,
    "finetune": measure_finetuning,
    "finetune_without_noise": measure_ceiling,
    "evolve": measure_evolution,
    "select_evolved": partial(
        measure_rendering, "select_evolved", lambda config, rows: config.evolution.rendered * rows
    ),
    "publish_evolved": partial(measure_rendering, "publish_evolved", lambda config, rows: config.synthesize.count),
    "publish_voted": partial(measure_labelling, "publish_voted"),
    "publish_taught": partial(measure_rendering, "publish_taught", lambda config, rows: config.synthesize.count),
    "synthesize": measure_sampling,
}
