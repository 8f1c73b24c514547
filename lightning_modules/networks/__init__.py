"""Networks: plain modules that know nothing about losses, optimisers or privacy."""

from lightning_modules.networks import biggan, lenet, projection, resnet, unet  # noqa: F401
