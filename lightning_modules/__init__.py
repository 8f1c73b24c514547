"""What is trained: classifier and generators, and their private training. Importing it registers every model."""

from lightning_modules import diffusion, gan, networks, samplers, teacher  # noqa: F401
