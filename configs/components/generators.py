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
    multiplicity: int = key(
        1, "K: noise draws per record in private training; their gradients are averaged before clipping", at_least=1
    )
    label_dropout: float = key(0.1, "probability that a record is trained without its label", at_least=0, below=1)
    P_mean: float = key(-1.2, "mean of ln sigma in training")
    P_std: float = key(1.2, "standard deviation of ln sigma in training", above=0)
    sigma_data: float = key(math.sqrt(1 / 3), "standard deviation of the data, fixed and public", above=0)
    guidance: float = key(0.0, "w in sampling: (1 + w) conditional - w unconditional prediction", at_least=0)
    sampler: Any = component("sampler", "ddim", "how images are sampled")


@GENERATOR_NAMES.add
@dataclass
class GANConfig:
    """Conditional GAN with hinge losses (Brock et al. 2019; Bie et al. 2023 for the private steps)."""

    name: str = key("gan", "conditional GAN (BigGAN with a projection discriminator)")
    network: Any = component("generator_network", "biggan", "the generating network, which is released")
    discriminator: Any = component("discriminator", "projection", "the network that is trained on images, with DP-SGD")
    latent: int = key(80, "size of the noise vector that an image is made from", at_least=2)
    discriminator_steps: int = key(
        5,
        "steps of the discriminator (which stages count and DP-SGD charges) per step of the generating network",
        at_least=1,
    )
    fakes: int = key(256, "images that each step of the generating network learns from", at_least=2)
    pace: float = key(
        0.4,
        "learning rate of the generating network divided by the stage's, which is that of the discriminator",
        above=0,
    )
    beta1: float = key(0.0, "decay of Adam's first moments, for both networks", at_least=0, below=1)


@GENERATOR_NAMES.add
@dataclass
class TeacherConfig:
    """A classifier of the sensitive categories that replaces a generator in pre-training and DP-SGD."""

    name: str = key("teacher", "makes no images: a classifier that labels a simulator's renderings")
    network: Any = component("classifier", "lenet", "the classifier network; BatchNorm is not allowed")
    multiplicity: int = key(
        1, "K: randomly moved views per record; their gradients are averaged before clipping", at_least=1
    )
    shift: float = key(0.0, "largest shift of a view, as a fraction of the image's side", at_least=0, at_most=0.5)
    turn: float = key(0.0, "largest rotation of a view, in degrees", at_least=0, at_most=180)
    stretch: float = key(1.0, "largest factor by which a view is enlarged or reduced", at_least=1, at_most=4)
