"""Which networks may be trained with DP-SGD."""

from __future__ import annotations

import torch
from opacus.validators import ModuleValidator
from torch import nn

from configs.errors import UserError
from lightning_modules.dp_sgd.engine import ClippedSum
from lightning_modules.registries import Generator


def check_network(network: nn.Module) -> None:
    """Refuse a network in which records could meet, or whose per-record gradients cannot be had.

    Opacus' validators are asked about every layer, not only about those with trainable parameters as Opacus does: a
    BatchNorm mixes records with or without parameters. Raises UserError that names the layer. Touches no data; the
    network may live on the meta device.
    """
    for name, layer in network.named_modules():
        if _refused_by_opacus(layer):
            raise UserError(
                f"generator.network: the layer '{name}' ({type(layer).__name__}) cannot be trained with DP-SGD, "
                "because it mixes records, keeps statistics of them, or hides their gradients. Choose one without "
                "it: GroupNorm or LayerNorm in place of BatchNorm, Opacus' DP layers in place of recurrent ones."
            )
        trained = any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
        if trained and any(True for _ in layer.buffers()):
            raise UserError(
                f"generator.network: the layer '{name}' ({type(layer).__name__}) holds trainable parameters and "
                "buffers. A buffer could carry sensitive data past the noise: keep it in a layer without parameters."
            )


@torch.no_grad()
def check_records_apart(
    model: Generator, engine: ClippedSum, *, shape: tuple[int, ...], classes: int, device: torch.device
) -> None:
    """Refuse a network whose code lets records meet, whatever its layers: tried out on made-up images.

    A record's losses must not move when another record changes, and the engine must tell records apart in batches of
    one, two and three. model: on `device`. shape: (C, H, W) of an image. Raises UserError. Touches no sensitive data.
    """
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, *shape), generator=random, dtype=torch.uint8).to(device)
    labels = torch.randint(0, classes, (3,), generator=random).to(device)
    others, other_labels = images.clone(), labels.clone()
    others[1:], other_labels[1:] = 255 - others[1:], classes - 1 - other_labels[1:]

    def first_losses(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        draws = torch.Generator(device).manual_seed(0)
        return model.record_losses(images, labels, draws)[: model.multiplicity]

    # a GPU may round differently from one call to the next
    if not torch.allclose(first_losses(images, labels), first_losses(others, other_labels), equal_nan=True):
        raise UserError(
            "generator.network: a record's loss changes when another record of the batch does, so the network mixes "
            "records and cannot be trained with DP-SGD. Look for a mean, a sort or a normalisation over the batch."
        )
    for count in (1, 2, 3):
        try:
            with torch.enable_grad():
                engine.clipped_sum(images[:count], labels[:count], torch.Generator(device).manual_seed(0))
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise UserError(f"generator.network: its per-record gradients cannot be had: {error}") from error


def _refused_by_opacus(layer: nn.Module) -> bool:
    """Whether Opacus' validator for this kind of layer, or for the nearest kind it derives from, objects."""
    for kind in type(layer).__mro__:
        if kind in ModuleValidator.VALIDATORS:
            return bool(ModuleValidator.VALIDATORS[kind](layer))
    return False
