"""Networks: plain modules that know nothing of losses, optimisers or privacy."""

from lightning_modules.networks import resnet, unet  # noqa: F401
