"""Models that are trained on sensitive images: their names and keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from configs.fields import component, key
from configs.registry import Catalogue

GENERATOR_NAMES = Catalogue("generator")


@GENERATOR_NAMES.add
@dataclass
class DiffusionConfig:
    """Conditional diffusion model with EDM preconditioning (Karras et al. 2022)."""

    name: str = key("diffusion", "conditional diffusion model (EDM)")
    network: Any = component("network", "unet", "the denoising network")
    multiplicity: int = key(1, "K: noise draws a record in private training, averaged before clipping", at_least=1)
    label_dropout: float = key(0.1, "probability that a record is trained without its label", at_least=0, below=1)
    P_mean: float = key(-1.2, "mean of ln sigma in training")
    P_std: float = key(1.2, "standard deviation of ln sigma in training", above=0)
    sigma_data: float = key(math.sqrt(1 / 3), "standard deviation of the data, fixed and public", above=0)
    guidance: float = key(0.0, "w: (1 + w) conditional - w unconditional prediction when sampling", at_least=0)
    sampler: Any = component("sampler", "ddim", "how images are sampled")


@GENERATOR_NAMES.add
@dataclass
class GANConfig:
    """Conditional GAN with hinge losses (Brock et al. 2019; Bie et al. 2023 for the private steps)."""

    name: str = key("gan", "conditional GAN (BigGAN with a projection discriminator)")
    network: Any = component("generator_network", "biggan", "the generating network, which is released")
    discriminator: Any = component("discriminator", "projection", "the network that images train, with DP-SGD")
    latent: int = key(80, "values of the noise that an image is made from", at_least=2)
    discriminator_steps: int = key(
        5,
        "steps of the discriminator (those that stages count and DP-SGD charges) for one of the generator",
        at_least=1,
    )
    fakes: int = key(256, "images that a step of the generating network learns from", at_least=2)
    pace: float = key(0.4, "learning rate of the generating network over the stage's, the discriminator's", above=0)
    beta1: float = key(0.0, "decay of Adam's first moments, of both networks", at_least=0, below=1)


@GENERATOR_NAMES.add
@dataclass
class TeacherConfig:
    """A classifier of the sensitive categories that takes a generator's place in pre-training and DP-SGD."""

    name: str = key("teacher", "makes no images: a classifier that labels a simulator's renderings")
    network: Any = component("classifier", "lenet", "the classifier network; none with BatchNorm")
    multiplicity: int = key(
        1, "K: randomly moved views of a record, whose gradients are averaged before clipping", at_least=1
    )
    shift: float = key(0.0, "how far a view is shifted at most, in parts of the image's side", at_least=0, at_most=0.5)
    turn: float = key(0.0, "by how many degrees it is turned at most", at_least=0, at_most=180)
    stretch: float = key(1.0, "by which factor it is enlarged or made smaller at most", at_least=1, at_most=4)
