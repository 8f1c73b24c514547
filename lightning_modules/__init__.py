"""The models that are trained (classifier, generators) and their private training. Importing it registers them all."""

from lightning_modules import diffusion, gan, networks, samplers, teacher  # noqa: F401
