"""Networks: plain modules that know nothing of losses, optimisers or privacy."""

from lightning_modules.networks import biggan, lenet, projection, resnet, unet  # noqa: F401
